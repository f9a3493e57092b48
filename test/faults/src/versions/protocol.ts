/** What a worker is told when it is started. */
export interface VersionPlan {
  readonly url: string;
  readonly schema: string;
  /** The build whose code it runs, as its effects name it. */
  readonly build: 'old' | 'new';
}

export interface VersionRequest {
  readonly kind: 'start';
  /** The idempotency key of a saga. */
  readonly saga: string;
  /** Whether its second step waits for a signal, in a build that knows signals. */
  readonly signal: boolean;
  /** How long its steps take at most, in ms. */
  readonly stepMs: number;
}

export type VersionReport =
  | { readonly kind: 'ready' }
  | { readonly kind: 'started'; readonly saga: string; readonly id: string };

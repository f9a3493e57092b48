/** The work of a process of the soak. */
export type Role = 'engine' | 'relay' | 'consumer';

/** The one argument of a worker process, as JSON. Both addresses are those of its own proxies. */
export interface WorkerPlan {
  readonly role: Role;
  readonly name: string;
  readonly storeUrl: string;
  readonly brokerUrl: string;
}

/** To a worker. */
export type Request =
  | { readonly kind: 'start'; readonly orderId: string }
  /** No more is published of one's own accord: what is under way is to come to an end. */
  | { readonly kind: 'quiet' };

/** From a worker. */
export type Report =
  | { readonly kind: 'ready' }
  | { readonly kind: 'started'; readonly orderId: string }
  | { readonly kind: 'refused'; readonly orderId: string; readonly why: string }
  /** Memory in use after a garbage collection, in bytes. */
  | { readonly kind: 'memory'; readonly heap: number; readonly rss: number }
  /** A rejection that nobody handled, with its stack. */
  | { readonly kind: 'unhandled'; readonly what: string };

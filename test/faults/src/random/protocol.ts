import type { EngineSettings, Message, OperatorRequest } from '@sagaz/core';

/** The one argument of an engine process, as JSON. The address is that of its own proxy. */
export interface TrialWorkerPlan {
  readonly name: string;
  readonly url: string;
  /** It runs the sagas of so many trials, from this seed on. */
  readonly firstSeed: number;
  readonly trials: number;
  readonly settings: Partial<EngineSettings>;
}

/** A worker asks the world outside, which answers under the same number. */
export type Question =
  | {
      readonly what: 'called';
      readonly saga: string;
      readonly task: string;
      readonly key: string;
      readonly due: string;
    }
  | { readonly what: 'apply' | 'undo'; readonly key: string }
  | { readonly what: 'publish'; readonly messages: readonly Message[] };

/** To a worker. */
export type TrialRequest =
  | { readonly kind: 'start'; readonly saga: string }
  | { readonly kind: 'ask'; readonly request: OperatorRequest; readonly id: string }
  | { readonly kind: 'look' }
  | {
      readonly kind: 'answer';
      readonly number: number;
      readonly value: number;
      readonly refusal: string | null;
    };

/** From a worker. */
export type TrialReport =
  | { readonly kind: 'ready' }
  | { readonly kind: 'started'; readonly saga: string; readonly id: string }
  | { readonly kind: 'held'; readonly sagas: number; readonly steps: number }
  | { readonly kind: 'question'; readonly number: number; readonly question: Question };

/** Of a trial's saga: every process knows it by this name. */
export function sagaName(seed: number, saga: number): string {
  return `trial-${String(seed)}-${String(saga)}`;
}

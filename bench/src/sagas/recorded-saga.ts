import { newId, type NewSaga, type SagaTransition, type Store } from '@sagaz/core';
import { ThreeSteps, threeStepsEngine } from './three-steps.js';

/** What the engine asked the store to write for one saga. */
export interface RecordedSaga {
  readonly start: NewSaga;
  readonly transitions: readonly SagaTransition[];
}

/** Has an engine run one saga, and keeps what it wrote, so that the same can be written without it. */
export async function recordSaga(store: Store): Promise<RecordedSaga> {
  const starts: NewSaga[] = [];
  const transitions: SagaTransition[] = [];
  const sagas = new Proxy(store.sagas, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return (...given: unknown[]): unknown => {
        if (name === 'start') starts.push(...(given[0] as readonly NewSaga[]));
        if (name === 'flush') transitions.push(...(given[0] as readonly SagaTransition[]));
        return Reflect.apply(value, target, given);
      };
    },
  });
  const recording = new Proxy(store, {
    get(target, name) {
      if (name === 'sagas') return sagas;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const engine = await threeStepsEngine(recording);
  const handle = await engine.start(ThreeSteps, 0);
  await handle.result({ timeout: '60s' });
  await engine.close();
  const [start] = starts;
  const own = transitions.filter(({ sagaId }) => sagaId === start?.id);
  if (start === undefined || own.length === 0) {
    throw new Error('The engine started and ended a saga, and asked the store for nothing.');
  }
  return { start, transitions: own };
}

/** The same saga under an id of its own. */
export function copyOf({ start, transitions }: RecordedSaga): RecordedSaga {
  const id = newId();
  return {
    start: { ...start, id, transitionId: newId() },
    transitions: transitions.map((one) => ({ ...one, id: newId(), sagaId: id })),
  };
}

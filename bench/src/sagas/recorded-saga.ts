import {
  newId,
  type NewSaga,
  type SagaTransition,
  type Store,
  type Transaction,
} from '@sagaz/core';
import { ThreeSteps, threeStepsEngine } from './three-steps.js';

/** The starts and transitions that the engine asked the store to write for one saga. */
export interface RecordedSaga {
  readonly start: NewSaga;
  readonly transitions: readonly SagaTransition[];
}

/** Has an engine run one saga, and keeps what it wrote, so that the same can be written without it. */
export async function recordSaga(store: Store): Promise<RecordedSaga> {
  const starts: NewSaga[] = [];
  const transitions: SagaTransition[] = [];
  const sagas = new Proxy(store.sagas, {
    get(target, name): unknown {
      if (name === 'start') {
        return (started: readonly NewSaga[], transaction?: Transaction) => {
          starts.push(...started);
          return target.start(started, transaction);
        };
      }
      if (name === 'flush') {
        return (flushed: readonly SagaTransition[]) => {
          transitions.push(...flushed);
          return target.flush(flushed);
        };
      }
      return bound(target, name);
    },
  });
  const recording = new Proxy(store, {
    get: (target, name): unknown => (name === 'sagas' ? sagas : bound(target, name)),
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

/** A member as it is without a proxy; a method works on its own object, where its private fields are. */
function bound(target: object, name: string | symbol): unknown {
  const value: unknown = Reflect.get(target, name, target);
  return typeof value === 'function' ? value.bind(target) : value;
}

/** The same saga under an id of its own. */
export function copyOf({ start, transitions }: RecordedSaga): RecordedSaga {
  const id = newId();
  return {
    start: { ...start, id, transitionId: newId() },
    transitions: transitions.map((one) => ({ ...one, id: newId(), sagaId: id })),
  };
}

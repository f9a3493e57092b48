import { setTimeout as pause } from 'node:timers/promises';
import { CommitUnknownError } from '../../errors/index.js';
import type { SlotQueueStore, Transaction, Transactions } from '../../ports/index.js';
import type { InboxParts } from '../inbox/index.js';

/** The disturbances of a process between two of its statements. */
export interface Disturbance {
  /** Called before and after each statement: it may take its time, or throw, as a session that is lost. */
  readonly strike: () => Promise<void>;
  /** Called after each commit: whether its answer is lost. */
  readonly losesAnswer: () => boolean;
}

/** The longest that a process stands still, in milliseconds: longer than its leases last. */
export const LONGEST_FREEZE_MS = 350;

/** By chance: mostly nothing, a pause, a freeze, or the loss of the session. */
export function disturbanceOf(random: () => number, goesOn: () => boolean): Disturbance {
  return {
    strike: async () => {
      if (!goesOn()) return;
      const fate = random();
      if (fate < 0.02) throw new Error('The session was lost.');
      if (fate < 0.03) await pause(random() * LONGEST_FREEZE_MS);
      else if (fate < 0.2) await pause(random() * 5);
    },
    losesAnswer: () => goesOn() && random() < 0.03,
  };
}

/** The parts of a store as a disturbed process has them. */
export function disturbed({ inbox, transactions }: InboxParts, by: Disturbance): InboxParts {
  return {
    inbox: struck(inbox, by, (name, answer) =>
      name === 'landingQueue' ? struckQueue(answer as SlotQueueStore, by) : answer,
    ),
    transactions: lossy(transactions, by),
  };
}

function struckQueue(queue: SlotQueueStore, by: Disturbance): SlotQueueStore {
  return struck(queue, by, (_, answer) => answer);
}

/** Every call of a method is struck before it and after it. */
function struck<T extends object>(
  target: T,
  { strike }: Disturbance,
  answered: (name: string, answer: unknown) => unknown,
): T {
  return new Proxy(target, {
    get(of, name) {
      const value: unknown = Reflect.get(of, name, of);
      if (typeof value !== 'function' || typeof name !== 'string') return value;
      return async (...args: unknown[]): Promise<unknown> => {
        await strike();
        const answer: unknown = await Reflect.apply(value, of, args);
        await strike();
        return answered(name, answer);
      };
    },
  });
}

function lossy(transactions: Transactions, by: Disturbance): Transactions {
  return new Proxy(transactions, {
    get(of, name) {
      if (name !== 'run') {
        const value: unknown = Reflect.get(of, name, of);
        return typeof value === 'function' ? (value.bind(of) as unknown) : value;
      }
      return async <T>(work: (transaction: Transaction) => Promise<T>): Promise<T> => {
        const result = await of.run(async (transaction) => {
          const value = await work(transaction);
          await by.strike();
          return value;
        });
        if (by.losesAnswer()) throw new CommitUnknownError();
        return result;
      };
    },
  });
}

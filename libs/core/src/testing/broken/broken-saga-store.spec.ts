import { describe, expect, it } from 'vitest';
import {
  FORMAT,
  isFinal,
  type ApplyOutcome,
  type ClaimRequest,
  type LatestEntriesLook,
  type LoadedSaga,
  type MailFound,
  type MailLook,
  type SagaStore,
  type SagaTransition,
  type StartOutcome,
  type TransitionOutcome,
} from '../../ports/index.js';
import { contractCase } from '../contract-case.js';
import { EngineBench } from '../engine-bench.js';
import { sagaStoreContract } from '../sagas/index.js';
import { tails } from './broken-tails.fixture.js';

const NEWER = FORMAT + 1;

/** The memory store with one fault, as another implementation could have it. */
type Fault = (bench: EngineBench) => Partial<SagaStore>;

async function runWith(name: string, fault: Fault | null): Promise<void> {
  const bench = new EngineBench([]);
  const sound = bench.sagas;
  const broken = fault?.(bench) ?? {};
  const sagas = new Proxy<SagaStore>(sound, {
    get(target, property) {
      const method: unknown = Reflect.get(broken, property) ?? Reflect.get(target, property);
      return typeof method === 'function' ? method.bind(target) : method;
    },
  });
  await contractCase(sagaStoreContract, name).run({
    sagas,
    other: sagas,
    engines: bench.engines,
    transactions: bench.transactions,
    messagesOf: (key) => Promise.resolve(bench.sent.filter((one) => one.key === key).length),
    pass: (ms) => bench.clock.advance(ms),
  });
}

function busyIfKeyBusy(outcome: ApplyOutcome): TransitionOutcome {
  return outcome.kind === 'key_busy' ? { kind: 'busy' } : outcome;
}

const faults: readonly {
  readonly fault: string;
  readonly caughtBy: string;
  readonly make: Fault;
}[] = [
  {
    fault: 'guards a transition by owner and epoch alone',
    caughtBy: 'refuses a transition that is repeated after it was applied',
    make: ({ sagas }) => ({
      async flush(transitions) {
        const found = await Promise.all(transitions.map(({ sagaId }) => sagas.get(sagaId)));
        return sagas.flush(
          transitions.map((move, at) => ({
            ...move,
            revision: found[at]?.revision ?? move.revision,
          })),
        );
      },
    }),
  },
  {
    fault: 'lists whole journals, however long they are',
    caughtBy: 'looks at no more than the last transitions of a journal',
    make: ({ sagas }) => ({
      latestEntries: (look: LatestEntriesLook) =>
        sagas.latestEntries({ ...look, transitions: 1e6 }),
    }),
  },
  {
    fault: 'lists the last sixty entries of a journal, whatever they are about',
    caughtBy: 'tells that a saga waits for a reply beside a step that is tried again and again',
    make: ({ sagas }) => ({
      latestEntries: ({ ids }: LatestEntriesLook) => tails(sagas, ids, (entry) => entry),
    }),
  },
  {
    fault: 'leaves long data out of lists as a whole',
    caughtBy: 'tells reason, step and next attempt also when what failed said very much',
    make: ({ sagas }) => ({
      latestEntries: ({ ids }: LatestEntriesLook) =>
        tails(sagas, ids, (entry) => ({
          ...entry,
          data: Buffer.byteLength(entry.data ?? '') > 8_000 ? null : entry.data,
        })),
    }),
  },
  {
    fault: 'acknowledges the second of two transitions of a saga in one flush, and loses it',
    caughtBy:
      'acknowledges no more transitions of a saga than it journals, also when one flush holds two',
    make: ({ sagas }) => ({
      async flush(transitions) {
        const bySaga = new Map(transitions.map((move) => [move.sagaId, move]));
        const single = [...bySaga.values()];
        const outcomes = await sagas.flush(single);
        const outcomeOf = new Map(single.map((move, at) => [move.sagaId, outcomes[at]]));
        return transitions.map(({ sagaId }) => outcomeOf.get(sagaId) ?? { kind: 'missing' });
      },
    }),
  },
  {
    fault: 'sweeps the sagas of a dead engine once',
    caughtBy: "takes over, for ever, what a dead engine's transaction commits after its death",
    make: ({ sagas }) => {
      const swept = new Set<string>();
      return {
        async claim(request: ClaimRequest): Promise<readonly LoadedSaga[]> {
          const claimed = await sagas.claim(request);
          const kept = claimed.filter(
            ({ adoptedFrom }) => adoptedFrom === null || !swept.has(adoptedFrom),
          );
          for (const { adoptedFrom } of claimed) if (adoptedFrom !== null) swept.add(adoptedFrom);
          return kept;
        },
      };
    },
  },
  {
    fault:
      'parks by NOT EXISTS on a snapshot, and wakes by a flag that only the writer of mail sets',
    caughtBy: 'loses no mail that is committed while its saga is being parked',
    make: ({ sagas }) => {
      const parked = new Set<string>();
      const woken = new Set<string>();
      return {
        async putMail(mail, transaction) {
          // The flag is set when the letter is written; nobody looks again when it commits.
          for (const { sagaId } of mail) if (parked.has(sagaId)) woken.add(sagaId);
          await sagas.putMail(mail, transaction);
        },
        async flush(transitions: readonly SagaTransition[]) {
          for (const move of transitions) {
            if (move.ownership.kind === 'give_back') parked.add(move.sagaId);
          }
          return sagas.flush(transitions);
        },
        async claim(request: ClaimRequest) {
          const claimed = await sagas.claim(request);
          return claimed.filter(({ id }) => !parked.has(id) || woken.has(id));
        },
      };
    },
  },
  {
    fault: 'looks for an unanswered transition without waiting for its lock',
    caughtBy: 'waits for a statement that is still running, and answers what became of it',
    make: ({ sagas }) => ({
      async settle(move) {
        const history = await sagas.history(move.sagaId);
        const there = history.some(({ transitionId }) => transitionId === move.id);
        return { kind: there ? 'applied' : 'not_applied' };
      },
    }),
  },
  {
    fault: 'answers a start whose key is taken from the snapshot of its own statement',
    caughtBy: 'lets a start wait for an open transaction with its key, and see what that committed',
    make: ({ sagas }) => ({
      async start(starts, transaction): Promise<readonly StartOutcome[]> {
        const before = await sagas.find({ name: starts[0]?.name ?? '' });
        const outcomes = await sagas.start(starts, transaction);
        return outcomes.map((outcome) =>
          outcome.kind === 'exists' && !before.some(({ id }) => id === outcome.id)
            ? { kind: 'started' }
            : outcome,
        );
      },
    }),
  },
  {
    fault: 'takes over from an engine as soon as it is overdue',
    caughtBy: 'does not take over from an engine that is late but not declared dead',
    make: ({ sagas, engines }) => ({
      async claim(request: ClaimRequest) {
        for (const beat of await engines.observe()) {
          if (beat.overdue) await engines.retire(beat.incarnation);
        }
        return sagas.claim(request);
      },
    }),
  },
  {
    fault: 'deletes mail when it is read',
    caughtBy:
      'takes mail out with the transition that consumes it, and leaves it when that is refused',
    make: ({ sagas }) => {
      const read = new Set<string>();
      return {
        async lookForMail(look: MailLook): Promise<MailFound> {
          const found = await sagas.lookForMail(look);
          const mail = found.mail.filter(({ id }) => !read.has(id));
          for (const { id } of mail) read.add(id);
          return { ...found, mail };
        },
      };
    },
  },
  {
    fault: 'waits for a locked row within a flush',
    caughtBy:
      'skips a row that another transaction holds, without waiting, and spares its neighbours',
    make: ({ sagas, transactions }) => ({
      flush: (transitions) =>
        transactions.within(undefined, async (own) => {
          const outcomes: TransitionOutcome[] = [];
          for (const move of transitions) {
            await own.lock(`saga:${move.sagaId}`);
            outcomes.push(busyIfKeyBusy(await sagas.apply(move, own)));
          }
          return outcomes;
        }),
    }),
  },
  {
    fault: 'does not tell a locked key from the locked row of a saga',
    caughtBy:
      'says in a transaction, and soon, whether it did not get a key or the row of the saga',
    make: ({ sagas }) => ({
      apply: async (move, transaction) => busyIfKeyBusy(await sagas.apply(move, transaction)),
    }),
  },
  {
    fault: 'gives every process the turn of counting',
    caughtBy:
      'lets no second process count while one has the turn, and the next one when it has died',
    make: () => ({ takeTurn: () => Promise.resolve(true) }),
  },
  {
    fault: 'claims a saga that has ended when mail comes for it',
    caughtBy: 'never claims a saga that has ended, mail or not',
    make: ({ sagas }) => {
      const names = new Map<string, string>();
      return {
        async putMail(mail, transaction) {
          for (const { sagaId } of mail) names.set(sagaId, sagaId);
          await sagas.putMail(mail, transaction);
        },
        async claim(request: ClaimRequest) {
          const claimed = [...(await sagas.claim(request))];
          for (const id of names.keys()) {
            const found = await sagas.get(id);
            if (found !== null && found.name === request.definitions[0]?.name) {
              claimed.push({ ...found, entries: [], mail: [], adoptedFrom: null });
            }
          }
          return claimed;
        },
      };
    },
  },
  {
    fault: 'claims sagas of every format',
    caughtBy: 'leaves sagas of a newer format to the engines that can read them',
    make: ({ sagas }) => ({
      claim: (request) => sagas.claim({ ...request, format: NEWER }),
    }),
  },
  {
    fault: 'is woken by mail of every format',
    caughtBy: 'wakes no engine by mail of a newer format, and tells the owner of its saga',
    make: ({ sagas }) => ({
      lookForMail: (look: MailLook) => sagas.lookForMail({ ...look, format: NEWER }),
    }),
  },
  {
    fault: 'keeps mail of a newer format from the owner of its saga',
    caughtBy: 'wakes no engine by mail of a newer format, and tells the owner of its saga',
    make: ({ sagas }) => ({
      async lookForMail(look: MailLook): Promise<MailFound> {
        const found = await sagas.lookForMail(look);
        return { ...found, mail: found.mail.filter(({ format }) => format <= look.format) };
      },
    }),
  },
  {
    fault: 'deletes mail of every format',
    caughtBy: 'keeps mail of a newer format when mail that nobody reads is deleted',
    make: ({ sagas }) => ({
      dropDeadMail: (orphanAgeMs) => sagas.dropDeadMail(orphanAgeMs, NEWER),
    }),
  },
  {
    fault: 'forgets what a saga becomes',
    caughtBy: 'changes the format and the version of a saga with a transition',
    make: ({ sagas }) => ({
      flush: (moves) => sagas.flush(moves.map((move) => ({ ...move, becomes: null }))),
    }),
  },
  {
    fault: 'forgets what a saga becomes when it ends',
    caughtBy: 'changes the format of a saga with the transition that ends it',
    make: ({ sagas }) => ({
      flush: (moves) =>
        sagas.flush(
          moves.map((move) => (isFinal(move.status) ? { ...move, becomes: null } : move)),
        ),
    }),
  },
  {
    fault: 'puts the mail of a transition whether it is applied or not',
    caughtBy: 'puts no mail and starts no saga with a transition that is refused',
    make: ({ sagas }) => ({
      async flush(moves) {
        await sagas.putMail(moves.flatMap(({ mail }) => mail));
        return sagas.flush(moves.map((move) => ({ ...move, mail: [] })));
      },
    }),
  },
  {
    fault: 'starts the sagas of a transition whether it is applied or not',
    caughtBy: 'puts no mail and starts no saga with a transition that is refused',
    make: ({ sagas }) => ({
      async flush(moves) {
        const begun = moves.flatMap((move) => move.sagas);
        await sagas.start(begun.map((saga) => ({ ...saga, key: null, messages: [] })));
        return sagas.flush(moves.map((move) => ({ ...move, sagas: [] })));
      },
    }),
  },
  {
    fault: 'forgets the sagas of a transition',
    caughtBy: 'puts mail and starts sagas with a transition',
    make: ({ sagas }) => ({
      flush: (moves) => sagas.flush(moves.map((move) => ({ ...move, sagas: [] }))),
    }),
  },
];

describe('the contract of saga stores catches a store that', () => {
  for (const { fault, caughtBy, make } of faults) {
    it(fault, async () => {
      await expect(runWith(caughtBy, null)).resolves.toBeUndefined();
      await expect(runWith(caughtBy, make)).rejects.toThrow();
    });
  }
});

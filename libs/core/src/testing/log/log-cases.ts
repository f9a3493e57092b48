import assert from 'node:assert/strict';
import { NonRetryableError } from '../../errors/index.js';
import { inboxKeyOf } from '../../messaging/index.js';
import type { ContractCase } from '../contract-case.js';
import { Gate } from '../gates.js';
import {
  LOG_KEYS,
  LOG_PER_KEY,
  LogTrial,
  type LogTrialCall,
  type LogTrialFixture,
} from './log-trial.js';

const HALF = LOG_PER_KEY / 2;
const ALL = LOG_KEYS * LOG_PER_KEY;

/** Runs a trial to its end, whatever it throws. */
async function trial(
  fixture: LogTrialFixture,
  options: ConstructorParameters<typeof LogTrial>[1],
  run: (trial: LogTrial) => Promise<void>,
): Promise<void> {
  const one = new LogTrial(fixture, options);
  try {
    await run(one);
  } finally {
    await one.close();
  }
}

/**
 * A service over a broker that is cut into partitions and keeps no retries: the relay, the consumers, the inbox
 * and the landing queue of a store, as they work together with such a broker.
 */
export const logBrokerContract: readonly ContractCase<LogTrialFixture>[] = [
  {
    name: 'brings every message through a log to its handler, with effects once and in order',
    guards: 'A log forgets what was acknowledged since its last commit, and delivers it again.',
    async run(fixture) {
      await trial(fixture, { call: () => Promise.resolve() }, async (one) => {
        await one.startRelay();
        await one.write(1, HALF);
        await one.startProcess();
        await one.until('a half is handled', async () => (await one.effects()).length >= ALL / 2);
        one.server.forget(one.group, 5);
        await one.startProcess();
        await one.write(HALF + 1, LOG_PER_KEY);
        one.server.forget(one.group, 3);
        await one.server.rebalance(one.group);
        await one.settle();
        await one.check(LOG_PER_KEY);
      });
    },
  },
  {
    name: 'goes on with the other keys of a partition while one message of it fails for a while',
    guards: 'A log delivers nothing behind a message that has not ended: what fails must land.',
    async run(fixture) {
      let others = 0;
      let failures = 0;
      const call = async ({ key, n }: LogTrialCall): Promise<void> => {
        if (key !== 'key 0') others += 1;
        if (key !== 'key 0' || n !== 2 || others >= ALL - LOG_PER_KEY) return;
        failures += 1;
        throw new Error('not while others wait');
      };
      await trial(fixture, { call }, async (one) => {
        await one.startRelay();
        await one.startProcess();
        await one.write(1, 2);
        await one.until('it fails', () => failures > 0);
        await one.write(3, LOG_PER_KEY);
        await one.settle();
        await one.check(LOG_PER_KEY);
      });
    },
  },
  {
    name: 'sets a poisonous message aside, goes on behind it, and handles it when it is replayed',
    guards: 'A message that can never be handled must not stop its partition.',
    async run(fixture) {
      let cured = false;
      const call = async ({ key, n }: LogTrialCall): Promise<void> => {
        if (key === 'key 1' && n === 3 && !cured) throw new NonRetryableError('never');
      };
      await trial(fixture, { call }, async (one) => {
        await one.startRelay();
        await one.startProcess();
        await one.write(1, LOG_PER_KEY);
        await one.settle();
        assert.equal((await one.effects()).length, ALL - 1);
        const letters = await one.deadLetters();
        assert.deepEqual(
          letters.map(({ message }) => [message.key, new TextDecoder().decode(message.payload)]),
          [['key 1', '3']],
        );
        cured = true;
        const keys = letters.map(({ message }) => inboxKeyOf(one.group, message));
        assert.deepEqual(await one.store.inbox.replayDeadLetters(keys), ['done']);
        await one.until('it is handled', async () => (await one.effects()).length === ALL);
        await one.check(LOG_PER_KEY, new Set(['key 1:3']));
      });
    },
  },
  {
    name: 'has effects once and in order while partitions change hands and have two owners at once',
    guards: 'A rebalance may give a partition to its new owner before the old one has ended.',
    async run(fixture) {
      const gate = new Gate();
      const call = async ({ key, n, process }: LogTrialCall): Promise<void> => {
        // The first owner of the key is still at work when another one begins with the same message.
        if (key === 'key 2' && n === 2 && process === 0) await gate.pass();
      };
      await trial(fixture, { call, commitAfterMs: 50 }, async (one) => {
        one.server.overlaps = true;
        await one.startRelay();
        await one.startProcess();
        await one.write(1, HALF);
        await gate.reached;
        await one.startProcess();
        // It does not end before the gate opens, since the first owner is asked to release its partitions.
        const balanced = one.server.rebalance(one.group);
        await one.write(HALF + 1, LOG_PER_KEY);
        await one.until('others are handled', async () =>
          (await one.effects()).some(({ key, n }) => key !== 'key 2' && n > HALF),
        );
        gate.open();
        await balanced;
        for (let n = 0; n < 3; n += 1) await one.server.rebalance(one.group);
        await one.settle();
        await one.check(LOG_PER_KEY);
      });
    },
  },
  {
    name: 'loses nothing and repeats no effect when an owner dies with a message in its hands',
    guards:
      'What the dead owner had handled and not acknowledged comes again, and so does the rest.',
    async run(fixture) {
      const gate = new Gate();
      let died = false;
      const call = async ({ key, n, process }: LogTrialCall): Promise<void> => {
        if (key !== 'key 3' || n !== HALF || process !== 0) return;
        await gate.pass();
        if (died) throw new Error('The process died.');
      };
      await trial(fixture, { call, commitAfterMs: 3_600_000 }, async (one) => {
        await one.startRelay();
        const first = await one.startProcess();
        await one.write(1, LOG_PER_KEY);
        await gate.reached;
        const before = (await one.effects()).length;
        assert.ok(before > 0, 'nothing was handled before the death');
        died = true;
        await one.kill(first);
        gate.open();
        await one.startProcess();
        await one.until('all is handled', async () => (await one.effects()).length >= ALL);
        await one.check(LOG_PER_KEY);
      });
    },
  },
];

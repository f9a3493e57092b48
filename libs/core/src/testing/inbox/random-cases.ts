import assert from 'node:assert/strict';
import { CommitUnknownError, SagaRefusal } from '../../errors/index.js';
import type { InboxUnit } from '../../messaging/index.js';
import type { Message } from '../../ports/index.js';
import { freshName, type ContractCase } from '../contract-case.js';
import {
  Consumer,
  freshCommand,
  freshCompensation,
  freshEvent,
  type HandlerCall,
  type InboxDeliveryFixture,
  type SeenReply,
} from './consumer.js';

/** Repeatable chance (mulberry32, public domain). */
function chanceOf(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function shuffled<T>(items: readonly T[], chance: () => number): T[] {
  return items
    .map((item) => ({ item, at: chance() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

/** A commit that is done, and whose answer is lost now and then. */
function losingAnswers(real: InboxUnit, chance: () => number): InboxUnit {
  return {
    run: async (body) => {
      const value = await real.run(body);
      if (chance() < 0.1) throw new CommitUnknownError();
      return value;
    },
  };
}

const SEEDS = [1, 2, 3];

/** Any order, any fault: what must hold in the end. */
export const randomCases: readonly ContractCase<InboxDeliveryFixture>[] = SEEDS.map((seed) => ({
  name: `whatever fails and in whatever order messages come, effects happen once (seed ${seed})`,
  guards: 'Effects exactly once per message; no step is done twice, or done after its undo.',
  async run(fixture) {
    const chance = chanceOf(seed);
    const group = freshName('group');
    const options = {
      group,
      attempts: 1_000,
      waitMs: 200,
      faults: {
        reach: (): void => {
          if (chance() < 0.08) throw new Error('a fault point');
        },
      },
    };
    const consumers = [
      new Consumer(fixture, fixture.store, options),
      new Consumer(fixture, await fixture.newStore(), options),
    ];
    const events = Array.from({ length: 8 }, () => freshEvent());
    const sagas = Array.from({ length: 8 }, () => freshName('saga'));
    const steps: Message[] = sagas.flatMap((saga, i) => [
      freshCommand(saga),
      freshCommand(saga),
      // Every other saga is undone, whenever that comes.
      ...(i % 2 === 0 ? [freshCompensation(saga)] : []),
    ]);
    const handle = async ({ effect, attempt }: HandlerCall): Promise<string> => {
      await effect(attempt.role);
      if (chance() < 0.2) throw new Error('a bad day');
      if (attempt.role === 'command' && chance() < 0.05) throw new SagaRefusal('not today');
      return 'done';
    };

    const deliver = async (message: Message): Promise<void> => {
      for (let delivery = 1; delivery <= 200; delivery += 1) {
        const consumer = consumers[chance() < 0.5 ? 0 : 1] ?? consumers[0];
        const outcome = await consumer?.receive(message, handle, {
          delivery,
          unit: (real) => losingAnswers(real, chance),
        });
        if (outcome?.kind === 'done') return;
      }
      assert.fail(`seed ${seed}: ${message.type} ${message.id} never came to its end`);
    };
    const all = [...events, ...steps];
    // Every message is delivered twice, and all of them in flight at once.
    await Promise.all(shuffled([...all, ...all], chance).map(deliver));

    const [consumer] = consumers;
    assert.ok(consumer !== undefined);
    for (const event of events) {
      assert.deepEqual(await consumer.effects(event), ['event'], `seed ${seed}`);
    }
    const recorded = await fixture.effects.recorded();
    for (const saga of sagas) {
      const mine = new Set(steps.filter(({ key }) => key === saga).map(({ id }) => id));
      const effects = recorded
        .filter((text) => text.startsWith(`effect ${group} `))
        .map((text) => text.split(' '))
        .filter(([, , id]) => mine.has(id ?? ''))
        .map(([, , , role]) => role ?? '');
      const allowed = [[], ['command'], ['compensation'], ['command', 'compensation']];
      assert.ok(
        allowed.some((one) => one.join() === effects.join()),
        `seed ${seed}: the effects of ${saga} came as ${effects.join(', ')}`,
      );
      const undone = mine.size === 3;
      assert.equal(effects.includes('compensation'), undone, `seed ${seed}: ${saga}`);
      const replies: readonly SeenReply[] = await consumer.replies(freshCommand(saga));
      const answers = new Set(
        replies.filter(({ repliesTo }) => repliesTo === 'command').map(({ status }) => status),
      );
      assert.ok(answers.size <= 1, `seed ${seed}: ${saga} was answered ${[...answers].join()}`);
      if (!undone) assert.equal(answers.size, 1, `seed ${seed}: ${saga} was never answered`);
      if (effects[0] === 'command') assert.deepEqual([...answers], ['ok'], `seed ${seed}`);
    }
    assert.deepEqual(await fixture.store.inbox.listDeadLetters({ group }), []);
  },
}));

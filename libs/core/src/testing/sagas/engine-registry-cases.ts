import assert from 'node:assert/strict';
import { newNonce } from '../../ids.js';
import { FORMAT, type EngineBeat, type EngineRegistry } from '../../ports/index.js';
import type { ContractCase } from '../contract-case.js';

/** The parts that an implementation gives to the contract of engine registries. */
export interface EngineRegistryFixture {
  readonly engines: EngineRegistry;
  /** The same data, as another process sees it. */
  readonly otherEngines: EngineRegistry;
  /** Lets time pass by the store's clock. */
  pass(ms: number): Promise<void>;
}

async function register(fixture: EngineRegistryFixture, ttlMs = 600_000): Promise<string> {
  const incarnation = newNonce();
  const identity = { service: 'contract', host: 'here', pid: 1, runs: [], format: FORMAT };
  await fixture.engines.register({ incarnation, ...identity, ttlMs });
  return incarnation;
}

async function beatOf(
  fixture: EngineRegistryFixture,
  incarnation: string,
): Promise<EngineBeat | undefined> {
  const beats = await fixture.otherEngines.observe();
  return beats.find((one) => one.incarnation === incarnation);
}

export const engineRegistryContract: readonly ContractCase<EngineRegistryFixture>[] = [
  {
    name: 'shows an engine that registered, and each heartbeat as another value',
    guards: 'Observers tell a heart that stands still from one that beats by comparing two values.',
    async run(fixture) {
      const me = await register(fixture);
      const first = await beatOf(fixture, me);
      assert.equal(first?.overdue, false);
      assert.equal(first.ttlMs, 600_000);
      assert.ok(await fixture.engines.beat(me));
      const second = await beatOf(fixture, me);
      assert.ok(second !== undefined && second.beat !== first.beat);
    },
  },
  {
    name: 'calls an engine overdue once its time to live has passed, and not after a heartbeat',
    guards: "The database's clock alone says what is overdue.",
    async run(fixture) {
      const me = await register(fixture, 100);
      await fixture.pass(200);
      assert.equal((await beatOf(fixture, me))?.overdue, true);
      // A look may come late after its heartbeat, on a machine that has no time for it.
      for (let tries = 0; tries < 100; tries += 1) {
        assert.ok(await fixture.engines.beat(me));
        if ((await beatOf(fixture, me))?.overdue === false) return;
      }
      assert.fail('It was overdue after each of a hundred heartbeats.');
    },
  },
  {
    name: 'declares an overdue engine dead once, and tells it so at its next heartbeat',
    guards: 'A zombie learns its death before it does anything else; two observers bury it once.',
    async run(fixture) {
      const me = await register(fixture, 50);
      await fixture.pass(120);
      const seen = await beatOf(fixture, me);
      assert.ok(seen !== undefined);
      const verdicts = await Promise.all([
        fixture.engines.declareDead(me, seen.beat),
        fixture.otherEngines.declareDead(me, seen.beat),
      ]);
      assert.deepEqual(verdicts.toSorted(), [false, true]);
      assert.equal(await fixture.engines.beat(me), false);
      assert.equal(await beatOf(fixture, me), undefined);
    },
  },
  {
    name: 'does not declare an engine dead that is in time',
    guards: 'A wrong observer buries nobody.',
    async run(fixture) {
      const me = await register(fixture);
      const seen = await beatOf(fixture, me);
      assert.equal(await fixture.engines.declareDead(me, seen?.beat ?? ''), false);
      assert.ok(await fixture.engines.beat(me));
    },
  },
  {
    name: 'does not declare an engine dead whose heartbeat came after the observation',
    guards: "The verdict is looked at again under the row's lock: a beat in between is a life.",
    async run(fixture) {
      const me = await register(fixture, 50);
      await fixture.pass(120);
      const seen = await beatOf(fixture, me);
      assert.ok(await fixture.engines.beat(me));
      await fixture.pass(120);
      assert.equal(await fixture.otherEngines.declareDead(me, seen?.beat ?? ''), false);
      assert.ok(await fixture.engines.beat(me));
    },
  },
  {
    name: 'lets either the heartbeat or the verdict win when they race, never both',
    guards: 'An engine that believes it lives while its sagas are taken over runs them twice.',
    async run(fixture) {
      for (let round = 0; round < 10; round += 1) {
        const me = await register(fixture, 5);
        await fixture.pass(15);
        const seen = await beatOf(fixture, me);
        const [beat, dead] = await Promise.all([
          fixture.engines.beat(me),
          fixture.otherEngines.declareDead(me, seen?.beat ?? ''),
        ]);
        assert.notEqual(beat, dead);
        assert.equal((await beatOf(fixture, me)) !== undefined, beat);
      }
    },
  },
  {
    name: 'forgets an engine that retires, and one that was never there does not beat',
    guards: 'A graceful end frees what is left at once.',
    async run(fixture) {
      const me = await register(fixture);
      await fixture.engines.retire(me);
      assert.equal(await beatOf(fixture, me), undefined);
      assert.equal(await fixture.engines.beat(me), false);
      assert.equal(await fixture.engines.beat(newNonce()), false);
    },
  },
];

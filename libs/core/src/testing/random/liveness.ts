import assert from 'node:assert/strict';
import type { SagaEngine } from '../../engine/index.js';
import type { EngineBench } from '../engine-bench.js';

/** How long the steps of the saga without faults waited for their start. */
export interface Waits {
  /** When processes died. */
  readonly deaths: number[];
  /** Since when the next step of a saga may run, by the saga's number. */
  readonly readyAt: Map<number, number>;
  readonly waits: { readonly from: number; readonly to: number }[];
}

/**
 * The longest wait of a step that could run: there are few places, an attempt that takes one ends or
 * is abandoned after five seconds, and some thirty attempts may be ahead of it.
 */
const LONGEST_WAIT_MS = 180_000;
/** A death costs the time until it is noticed, and a turn behind all attempts that were running then. */
const PER_DEATH_MS = 240_000;

/** Checks that no step has waited too long because of other sagas. */
export function checkWaits({ deaths, waits }: Waits): void {
  for (const { from, to } of waits) {
    const died = deaths.filter((at) => at >= from && at <= to).length;
    const bound = LONGEST_WAIT_MS + died * PER_DEATH_MS;
    assert.ok(
      to - from <= bound,
      `a step that could have run waited ${to - from} ms (from ${from} ms on; ${died} deaths)`,
    );
  }
}

/**
 * Checks the end of a trial: no saga has an owner, no engine holds a saga or a place, and an operator
 * can end each saga that needs a person.
 */
export async function checkPeace(
  bench: EngineBench,
  engines: readonly SagaEngine[],
  ids: readonly string[],
): Promise<void> {
  for (const engine of engines) {
    assert.equal(engine.sagasHere, 0, 'an engine still holds a saga that is over');
    assert.equal(engine.stepsRunning, 0, 'an engine still holds a place for what is over');
  }
  for (const id of ids) {
    const saga = await bench.sagas.get(id);
    assert.equal(
      saga?.owner,
      null,
      `a saga that is over still has an owner (${saga?.status ?? ''})`,
    );
    if (saga.status === 'needs_attention') await engines[0]?.terminate(id, 'the trial is over');
  }
  await bench.clock.advance(10_000);
  for (const id of ids) {
    const saga = await bench.sagas.get(id);
    assert.notEqual(saga?.status, 'needs_attention', 'an operator cannot end what needs a person');
    assert.equal(saga?.owner, null, 'a saga that was ended still has an owner');
  }
}

import { setTimeout as sleep } from 'node:timers/promises';
import { inTurn } from '../processes/index.js';
import type { SoakProcess } from './soak-process.js';
import type { SoakSystem } from './soak-system.js';
import { AWAY_MS, FREEZE_MS, HOLE_MS, PAUSE_MS } from './timings.js';

export const DISTURBANCES = [
  'kill engine',
  'kill relay',
  'kill consumer',
  'freeze engine',
  'freeze relay',
  'freeze consumer',
  'black hole to the store',
  'black hole to the broker',
  'cut connections',
  'restart PostgreSQL of the store',
  'restart PostgreSQL of the broker',
  'broker away',
] as const;
export type Disturbance = (typeof DISTURBANCES)[number];

/** Called when a disturbance begins, with the name of the process it is done to, if it is one. */
export type NoteDisturbance = (what: Disturbance, to: string | null) => void;

/**
 * Disturbs one thing after the other until the signal says stop: each kind once, then at random. What has
 * begun is carried out to its end, unless `interrupted` says that nobody waits for it any more.
 */
export async function disturb(
  system: SoakSystem,
  random: () => number,
  note: NoteDisturbance,
  signal: AbortSignal,
  interrupted: AbortSignal,
): Promise<void> {
  const carry = (what: Disturbance): Promise<void> =>
    carryOut(what, { system, random, note, interrupted });
  const stop = AbortSignal.any([signal, interrupted]);
  await inTurn(DISTURBANCES, carry, { random, pauseMs: PAUSE_MS }, stop);
}

interface Context {
  readonly system: SoakSystem;
  readonly random: () => number;
  readonly note: NoteDisturbance;
  readonly interrupted: AbortSignal;
}

async function carryOut(what: Disturbance, context: Context): Promise<void> {
  const { system, random, note, interrupted } = context;
  const noted = (one: SoakProcess): SoakProcess => {
    note(what, one.name);
    return one;
  };
  const any = (): SoakProcess => noted(system.pick(random));
  switch (what) {
    case 'kill engine':
      return noted(system.pickMortal(random, 'engine')).kill();
    case 'kill relay':
      return noted(system.pickMortal(random, 'relay')).kill();
    case 'kill consumer':
      return noted(system.pickMortal(random, 'consumer')).kill();
    case 'freeze engine':
      return noted(system.pick(random, 'engine')).freeze(FREEZE_MS, interrupted);
    case 'freeze relay':
      return noted(system.pick(random, 'relay')).freeze(FREEZE_MS, interrupted);
    case 'freeze consumer':
      return noted(system.pick(random, 'consumer')).freeze(FREEZE_MS, interrupted);
    case 'black hole to the store':
      later(HOLE_MS, any().parts.store.blackHole());
      return;
    case 'black hole to the broker':
      later(HOLE_MS, any().parts.broker.blackHole());
      return;
    case 'cut connections': {
      const { store, broker } = any().parts;
      store.cut();
      broker.cut();
      return;
    }
    case 'restart PostgreSQL of the store':
      note(what, null);
      return system.store.crash();
    case 'restart PostgreSQL of the broker':
      note(what, null);
      return system.broker.crash();
    case 'broker away':
      note(what, null);
      for (const { parts } of system.workers) parts.broker.away();
      await sleep(AWAY_MS, undefined, { signal: interrupted }).catch(() => undefined);
      for (const { parts } of system.workers) parts.broker.back();
      return;
  }
}

/** The sockets of a black hole are closed at last, so that the server can let its ends go. */
function later(ms: number, work: () => void): void {
  setTimeout(work, ms).unref();
}

import { setTimeout as sleep } from 'node:timers/promises';
import { inTurn } from '../processes/index.js';
import type { Role } from './worker-plan.js';
import type { SoakSystem } from './soak-system.js';

/** Longer than a lease: what was frozen or cut off is taken over meanwhile. */
const FREEZE_MS = 9_000;
const HOLE_MS = 45_000;
const AWAY_MS = 15_000;
const PAUSE_MS = 6_000;

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

/** Disturbs one thing after the other until the signal says stop: each kind once, then at random. */
export async function disturb(
  system: SoakSystem,
  random: () => number,
  note: (what: Disturbance) => void,
  signal: AbortSignal,
): Promise<void> {
  const carry = (what: Disturbance): Promise<void> => {
    note(what);
    return carryOut(system, what, random);
  };
  await inTurn(DISTURBANCES, carry, { random, pauseMs: PAUSE_MS }, signal);
}

async function carryOut(
  system: SoakSystem,
  what: Disturbance,
  random: () => number,
): Promise<void> {
  const pick = (role?: Role) => system.pick(random, role);
  switch (what) {
    case 'kill engine':
      return pick('engine').kill();
    case 'kill relay':
      return pick('relay').kill();
    case 'kill consumer':
      return pick('consumer').kill();
    case 'freeze engine':
      return pick('engine').freeze(FREEZE_MS);
    case 'freeze relay':
      return pick('relay').freeze(FREEZE_MS);
    case 'freeze consumer':
      return pick('consumer').freeze(FREEZE_MS);
    case 'black hole to the store':
      later(HOLE_MS, pick().parts.store.blackHole());
      return;
    case 'black hole to the broker':
      later(HOLE_MS, pick().parts.broker.blackHole());
      return;
    case 'cut connections': {
      const { store, broker } = pick().parts;
      store.cut();
      broker.cut();
      return;
    }
    case 'restart PostgreSQL of the store':
      return system.store.crash();
    case 'restart PostgreSQL of the broker':
      return system.broker.crash();
    case 'broker away':
      for (const { parts } of system.workers) parts.broker.away();
      await sleep(AWAY_MS);
      for (const { parts } of system.workers) parts.broker.back();
      return;
  }
}

/** The sockets of a black hole are closed at last, so that the server can let its ends go. */
function later(ms: number, work: () => void): void {
  setTimeout(work, ms).unref();
}

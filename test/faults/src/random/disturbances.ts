import { setTimeout as sleep } from 'node:timers/promises';
import { inTurn } from '../processes/index.js';
import type { Fleet } from './fleet.js';

/**
 * The length of a stop, which is longer than an engine's lease, so that the sagas of the process are
 * taken over.
 */
const FREEZE_MS = 7_000;
const HOLE_MS = 12_000;
const PAUSE_MS = 2_000;

const KINDS = ['kill', 'freeze', 'black hole', 'cut'] as const;
export type TrialDisturbance = (typeof KINDS)[number];

/** Disturbs one process after the other until the signal says stop. */
export async function disturbFleet(
  fleet: Fleet,
  random: () => number,
  note: (what: TrialDisturbance) => void,
  signal: AbortSignal,
): Promise<void> {
  const holes: Promise<void>[] = [];
  const carryOut = async (what: TrialDisturbance): Promise<void> => {
    note(what);
    const { process, proxy } = fleet.pick(random);
    switch (what) {
      case 'kill':
        return process.kill();
      case 'freeze':
        return process.freeze(FREEZE_MS);
      case 'black hole':
        // Its sockets are closed at last, so that the server can let its ends go.
        holes.push(sleep(HOLE_MS).then(proxy.blackHole()));
        return;
      case 'cut':
        proxy.cut();
        return;
    }
  };
  await inTurn(KINDS, carryOut, { random, pauseMs: PAUSE_MS }, signal);
  await Promise.all(holes);
}

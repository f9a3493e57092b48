import { inChild } from '../child.js';
import { inTurn, type Rounds } from '../measure.js';
import { nodeForRestate, restateAbsence } from '../restate.js';
import type { BenchServer } from '../server.js';
import type { BareSagaRun } from '../workers/bare-sagas.js';
import type { SagaCost, SagaRun } from '../workers/sagaz-sagas.js';

/** Sagaz, its peers, and its limits: the rows alone, and a bare chain of commits. */
export type SagaKind = 'sagaz' | 'dbos' | 'restate' | 'rows' | 'chain';

export interface SagaFindings extends Pick<Rounds<SagaKind>, 'perSecond' | 'ratio' | 'cost'> {
  /** Those that were measured. */
  readonly kinds: readonly SagaKind[];
  /** Of the last round, in milliseconds; of the rows alone, of a whole group of them. */
  readonly p50: ReadonlyMap<SagaKind, number>;
  /** Why Restate was not measured; null: it was. */
  readonly withoutRestate: string | null;
}

/** Three-step sagas per second, each kind in a process of its own, for some seconds each. */
export async function compareSagas(
  server: BenchServer,
  inFlight: number,
  rounds: number,
  counts: Readonly<Record<SagaKind, number>>,
  wanted: readonly SagaKind[],
): Promise<SagaFindings> {
  const p50 = new Map<SagaKind, number>();
  const withoutRestate = restateAbsence();
  const measure = async (kind: SagaKind): Promise<SagaCost> => {
    const run = { url: await server.database(), inFlight, count: counts[kind] };
    const found = await runOf(kind, run);
    p50.set(kind, found.p50);
    return found;
  };
  const kinds = wanted.filter((kind) => kind !== 'restate' || withoutRestate === null);
  const measured = await inTurn(rounds, kinds, measure);
  return {
    kinds,
    perSecond: (kind) => measured.perSecond(kind),
    ratio: (kind, to) => measured.ratio(kind, to),
    cost: (kind) => measured.cost(kind),
    p50,
    withoutRestate,
  };
}

function runOf(kind: SagaKind, run: SagaRun): Promise<SagaCost> {
  switch (kind) {
    case 'sagaz':
    case 'dbos':
      return inChild<SagaCost>(`${kind}-sagas`, run);
    case 'restate':
      return inChild<SagaCost>('restate-sagas', run, { node: nodeForRestate() });
    case 'rows':
    case 'chain': {
      const input: BareSagaRun = { ...run, limit: kind };
      return inChild<SagaCost>('bare-sagas', input);
    }
  }
}

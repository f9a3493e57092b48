import { inChild } from './child.js';
import { inTurn, type Turns } from './measure.js';
import type { BenchServer } from './server.js';
import type { SagaRate, SagaRun } from './workers/sagaz-sagas.js';

const ROUNDS = 3;

export interface SagaFindings extends Turns<'sagaz' | 'dbos'> {
  readonly p50: { readonly sagaz: number; readonly dbos: number };
}

/** Three-step sagas per second, Sagaz against DBOS, each in a process of its own. */
export async function sagasVsDbos(
  server: BenchServer,
  inFlight: number,
  counts: { readonly sagaz: number; readonly dbos: number },
): Promise<SagaFindings> {
  const last = { sagaz: NaN, dbos: NaN };
  const run = async (who: 'sagaz' | 'dbos'): Promise<number> => {
    const input: SagaRun = { url: await server.database(), inFlight, count: counts[who] };
    const rate = await inChild<SagaRate>(`${who}-sagas`, input);
    last[who] = rate.p50;
    return rate.perSecond;
  };
  const turns = await inTurn(ROUNDS, { sagaz: () => run('sagaz'), dbos: () => run('dbos') });
  return { ...turns, p50: last };
}

import { scaled } from '../measure.js';
import { compareSagas, type SagaFindings, type SagaKind } from '../sagas/peers.js';
import { rounded } from '../statistics.js';
import { cpu, cpuMicros, times, whole, type Section } from './section.js';

const NAMES: Readonly<Record<SagaKind, string>> = {
  sagaz: 'Sagaz',
  dbos: 'DBOS',
  restate: 'Restate',
  rows: 'the same rows by the same statements without the engine',
  chain: 'four bare commits in a row',
};

/** Three-step sagas beside DBOS, beside Restate, and beside what the database alone could do. */
export const sagas: Section = async ({ server, say, scale }) => {
  const rounds = scale < 1 ? 1 : 3;
  const count = (of: Readonly<Record<SagaKind, number>>): Record<SagaKind, number> => ({
    sagaz: scaled(of.sagaz, scale),
    dbos: scaled(of.dbos, scale),
    restate: scaled(of.restate, scale),
    rows: scaled(of.rows, scale),
    chain: scaled(of.chain, scale),
  });
  const many = await compareSagas(
    server,
    500,
    rounds,
    count({ sagaz: 10_000, dbos: 1_000, restate: 4_000, rows: 20_000, chain: 1_000 }),
    ['sagaz', 'dbos', 'restate', 'rows'],
  );
  tell(many, 'three-step sagas, 500 in flight', say);
  const one = await compareSagas(
    server,
    1,
    rounds,
    count({ sagaz: 1_000, dbos: 300, restate: 300, rows: 1_000, chain: 1_000 }),
    ['sagaz', 'dbos', 'restate', 'rows', 'chain'],
  );
  tell(one, 'three-step sagas, one at a time', say);
  if (many.withoutRestate !== null) say(`Restate was not measured: ${many.withoutRestate}.`);
  return {
    sagaVsDbos500: ratio(many, 'dbos'),
    sagaVsDbos1: ratio(one, 'dbos'),
    sagaVsRestate500: ratio(many, 'restate'),
    sagaVsRestate1: ratio(one, 'restate'),
    sagaVsBareRows: ratio(many, 'rows'),
    sagaVsBareRows1: ratio(one, 'rows'),
    sagaVsBareChain1: ratio(one, 'chain'),
    saga500Micros: cpuMicros(many.cost('sagaz')),
    saga1Micros: cpuMicros(one.cost('sagaz')),
    bareRowsMicros: cpuMicros(many.cost('rows')),
  };
};

function tell(found: SagaFindings, what: string, say: (text: string) => void): void {
  say(`${what}:`);
  for (const kind of found.kinds) {
    const rate = `  ${NAMES[kind]} ${whole(found.perSecond(kind))}/s`;
    const beside = kind === 'sagaz' ? '' : `; Sagaz ${times(found.ratio('sagaz', kind))}`;
    say(
      `${rate}, p50 ${(found.p50.get(kind) ?? NaN).toFixed(1)} ms${cpu(found.cost(kind), kind === 'restate' ? 'its server' : undefined)}${beside}`,
    );
  }
}

/** Null where the other one was not measured. */
function ratio(found: SagaFindings, to: SagaKind): number | null {
  return found.kinds.includes(to) ? rounded(found.ratio('sagaz', to)) : null;
}

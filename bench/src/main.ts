import { cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { drains } from './drain.js';
import { latencies } from './latency.js';
import { against } from './main-against.js';
import { sagasVsDbos } from './sagas.js';
import { BenchServer } from './server.js';
import { rounded } from './statistics.js';
import { enqueueVsBare, inboxVsBare } from './transactions.js';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    only: { type: 'string' },
    against: { type: 'string' },
    rounds: { type: 'string', default: '6' },
  },
});
const say = (text: string): void => void process.stdout.write(`${text}\n`);
if (values.against !== undefined) {
  const found = await against(values.against, values.only, Number(values.rounds), say);
  if (values.json) say(JSON.stringify(found));
  process.exit(0);
}
const SECTIONS = ['sagas', 'drain', 'enqueue', 'inbox', 'latency'] as const;
const only = values.only;
if (only !== undefined && !SECTIONS.some((section) => section === only)) {
  process.stderr.write(`--only takes one of ${SECTIONS.join(', ')}, not '${only}'.\n`);
  process.exit(2);
}

const result: Record<string, unknown> = {};
const wants = (section: (typeof SECTIONS)[number]): boolean =>
  only === undefined || only === section;
const whole = (value: number): string => Math.round(value).toLocaleString('en');

const server = await BenchServer.start();
try {
  say(
    `${String(cpus().length)} × ${cpus()[0]?.model.trim() ?? 'unknown'}, ${whole(totalmem() / 2 ** 30)} GiB, ` +
      `Node ${process.version}; PostgreSQL ${await server.settings()}`,
  );

  if (wants('sagas')) {
    const many = await sagasVsDbos(server, 500, { sagaz: 10_000, dbos: 1_000 });
    say(
      `three-step sagas, 500 in flight: ${whole(many.perSecond('sagaz'))}/s (p50 ${many.p50.sagaz.toFixed(0)} ms), ` +
        `DBOS ${whole(many.perSecond('dbos'))}/s (p50 ${many.p50.dbos.toFixed(0)} ms): ${many.ratio('sagaz', 'dbos').toFixed(1)} ×`,
    );
    const one = await sagasVsDbos(server, 1, { sagaz: 1_000, dbos: 300 });
    say(
      `three-step sagas, one at a time: ${whole(one.perSecond('sagaz'))}/s (p50 ${one.p50.sagaz.toFixed(1)} ms), ` +
        `DBOS ${whole(one.perSecond('dbos'))}/s (p50 ${one.p50.dbos.toFixed(1)} ms): ${one.ratio('sagaz', 'dbos').toFixed(1)} ×`,
    );
    result['sagaVsDbos500'] = rounded(many.ratio('sagaz', 'dbos'));
    result['sagaVsDbos1'] = rounded(one.ratio('sagaz', 'dbos'));
  }

  if (wants('drain')) {
    const drain = await drains(server);
    say(
      `relay drains 100,000: ${whole(drain.relay)}/s; one delete per message ${whole(drain.oneByOne)}/s ` +
        `(${(drain.relay / drain.oneByOne).toFixed(1)} ×); bare read-and-delete loop ${whole(drain.bareLoop)}/s ` +
        `(${(drain.relay / drain.bareLoop).toFixed(2)} ×)`,
    );
    say(
      `relay with 1,000,000 waiting: ${whole(drain.waitingMillion)}/s, with 10,000: ` +
        `${whole(drain.waitingTenThousand)}/s (${(drain.waitingMillion / drain.waitingTenThousand).toFixed(2)} ×)`,
    );
    result['drainPerSecond'] = Math.round(drain.relay);
    result['drainVsOneByOne'] = rounded(drain.relay / drain.oneByOne);
    result['drainVsBareLoop'] = rounded(drain.relay / drain.bareLoop);
    result['drainMillionVsTenThousand'] = rounded(drain.waitingMillion / drain.waitingTenThousand);
  }

  if (wants('enqueue')) {
    const turns = await enqueueVsBare(server);
    say(
      `business transaction: ${whole(turns.perSecond('bare'))}/s; with a plain second insert ` +
        `${turns.ratio('plainInsert', 'bare').toFixed(2)} ×, with a message ${turns.ratio('enqueue', 'bare').toFixed(2)} ×`,
    );
    result['enqueueVsBare'] = rounded(turns.ratio('enqueue', 'bare'));
    result['plainInsertVsBare'] = rounded(turns.ratio('plainInsert', 'bare'));
  }

  if (wants('inbox')) {
    const turns = await inboxVsBare(server);
    say(
      `handler: ${whole(turns.perSecond('bare'))}/s; with a plain insert of the message's id ` +
        `${turns.ratio('plainInsert', 'bare').toFixed(2)} ×, behind the inbox ${turns.ratio('inbox', 'bare').toFixed(2)} ×`,
    );
    result['inboxVsBare'] = rounded(turns.ratio('inbox', 'bare'));
    result['plainIdVsBare'] = rounded(turns.ratio('plainInsert', 'bare'));
  }

  if (wants('latency')) {
    const { handler, bare, chain } = await latencies(server);
    say(
      `commit to handler in another process, 200/s: p50 ${handler.p50.toFixed(1)} ms, p99 ${handler.p99.toFixed(1)} ms; ` +
        `insert, NOTIFY and read: p50 ${bare.p50.toFixed(1)} ms, p99 ${bare.p99.toFixed(1)} ms ` +
        `(p99 ${(handler.p99 / bare.p99).toFixed(1)} ×); by bare statements: p50 ${chain.p50.toFixed(1)} ms, ` +
        `p99 ${chain.p99.toFixed(1)} ms (p99 ${(handler.p99 / chain.p99).toFixed(1)} ×)`,
    );
    result['handlerLatencyMs'] = { p50: rounded(handler.p50), p99: rounded(handler.p99) };
    result['bareChainMs'] = { p50: rounded(chain.p50), p99: rounded(chain.p99) };
    result['bareRoundTripMs'] = { p50: rounded(bare.p50), p99: rounded(bare.p99) };
  }
} finally {
  await server.stop();
}
if (values.json) say(JSON.stringify(result));

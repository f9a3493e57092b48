import { cpus, loadavg, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { against } from './main-against.js';
import { growth } from './sections/growth.js';
import { latency } from './sections/latency.js';
import { drain, relays } from './sections/queues.js';
import { roundTrips } from './sections/round-trips.js';
import { sagas } from './sections/sagas.js';
import { whole, type Section } from './sections/section.js';
import { enqueue, inbox, network } from './sections/transactions.js';
import { BenchServer } from './server.js';
import { rounded } from './statistics.js';

const SECTIONS: Readonly<Record<string, Section>> = {
  roundTrips,
  sagas,
  drain,
  relays,
  enqueue,
  inbox,
  network,
  latency,
  growth,
};

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    only: { type: 'string' },
    against: { type: 'string' },
    rounds: { type: 'string', default: '6' },
    scale: { type: 'string', default: '1' },
  },
});
const say = (text: string): void => void process.stdout.write(`${text}\n`);
const scale = Number(values.scale);
if (!(scale > 0 && scale <= 1))
  refuse(`--scale takes a number above 0 and up to 1, not '${values.scale}'.`);
if (values.against !== undefined) {
  const found = await against(values.against, values.only, Number(values.rounds), scale, say);
  if (values.json) say(JSON.stringify(found));
  process.exit(0);
}
const { only } = values;
if (only !== undefined && !Object.hasOwn(SECTIONS, only)) {
  refuse(`--only takes one of ${Object.keys(SECTIONS).join(', ')}, not '${only}'.`);
}

const result: Record<string, unknown> = {};
const server = await BenchServer.start();
try {
  say(
    `${String(cpus().length)} × ${cpus()[0]?.model.trim() ?? 'unknown'}, ${whole(totalmem() / 2 ** 30)} GiB, ` +
      `load ${String(rounded(loadavg()[0] ?? NaN, 1))}, Node ${process.version}; PostgreSQL ${await server.settings()}`,
  );
  for (const [name, section] of Object.entries(SECTIONS)) {
    if (only !== undefined && only !== name) continue;
    Object.assign(result, await section({ server, say, scale }));
  }
} finally {
  await server.stop();
}
if (values.json) say(JSON.stringify(result));

function refuse(why: string): never {
  process.stderr.write(`${why}\n`);
  process.exit(2);
}

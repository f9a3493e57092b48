import { resolve } from 'node:path';
import { pairPart, PARTS, type Paired } from './against.js';
import { BenchServer } from './server.js';

/** `--against <folder>`: every part, or the one named, paired with another checkout that is built. */
export async function against(
  folder: string,
  only: string | undefined,
  rounds: number,
  scale: number,
  say: (text: string) => void,
): Promise<readonly Paired[]> {
  // npm starts the bench in its own folder; a relative path counts from where the command was typed.
  const checkout = resolve(process.env['INIT_CWD'] ?? '.', folder);
  const parts = only === undefined ? PARTS : PARTS.filter((part) => part === only);
  if (parts.length === 0 || !(rounds >= 1)) {
    throw new Error(
      `With --against, --only takes one of ${PARTS.join(', ')}, and --rounds a number from 1.`,
    );
  }
  const server = await BenchServer.start();
  const found: Paired[] = [];
  try {
    say(
      'Microseconds per item (on the clock, of Node, of PostgreSQL), the other checkout | this one:',
    );
    for (const part of parts) {
      const paired = await pairPart(server, part, checkout, rounds, scale);
      found.push(paired);
      say(
        `${part}: ${timesText(paired.other)} | ${timesText(paired.here)}; speed ${String(paired.speed)} ×, ` +
          `CPU of Node ${ratioText(paired.nodeCpu)}, of PostgreSQL ${ratioText(paired.postgresCpu)} ` +
          `(${String(rounds)} rounds, load ${String(paired.load)})`,
      );
    }
  } finally {
    await server.stop();
  }
  return found;
}

function timesText(times: Paired['here']): string {
  return times.map((micros) => (micros === null ? '?' : String(micros))).join(' ');
}

function ratioText(ratio: number | null): string {
  return ratio === null ? 'not known' : `${String(ratio)} ×`;
}

import { drains } from '../drain.js';
import { scaled } from '../measure.js';
import { RELAY_COUNTS, relayRates } from '../relays.js';
import { rounded } from '../statistics.js';
import { cpu, cpuMicros, times, whole, type Section } from './section.js';

/** The relay beside two loops that guarantee nothing, and with a million messages waiting. */
export const drain: Section = async ({ server, say, scale }) => {
  const { loops, waitingMillion, waitingTenThousand } = await drains(server, scale);
  say(
    `relay drains ${whole(scaled(100_000, scale))}: ${whole(loops.perSecond('relay'))}/s${cpu(loops.cost('relay'))}; ` +
      `one delete per message ${whole(loops.perSecond('oneByOne'))}/s (${times(loops.ratio('relay', 'oneByOne'), 1)}); ` +
      `bare read-and-delete loop ${whole(loops.perSecond('bareLoop'))}/s (${times(loops.ratio('relay', 'bareLoop'))})`,
  );
  say(
    `relay with ${whole(scaled(1_000_000, scale))} waiting: ${whole(waitingMillion)}/s, ` +
      `with ${whole(scaled(10_000, scale))}: ${whole(waitingTenThousand)}/s (${times(waitingMillion / waitingTenThousand)})`,
  );
  return {
    drainPerSecond: Math.round(loops.perSecond('relay')),
    drainVsOneByOne: rounded(loops.ratio('relay', 'oneByOne')),
    drainVsBareLoop: rounded(loops.ratio('relay', 'bareLoop')),
    drainMillionVsTenThousand: rounded(waitingMillion / waitingTenThousand),
    drainMicros: cpuMicros(loops.cost('relay')),
  };
};

/** One, two and four relays, each in a process of its own, on the same outbox. */
export const relays: Section = async ({ server, say, scale }) => {
  const found = await relayRates(server, scaled(100_000, scale));
  const rates = RELAY_COUNTS.map((count) => [count, Math.round(found.perSecond(count))] as const);
  say(
    `messages a second by relays: ${rates.map(([count, rate]) => `${count} ${whole(rate)}/s`).join(', ')} ` +
      `(two ${times(found.ratio('2', '1'))}, four ${times(found.ratio('4', '1'))})`,
  );
  return { relays: Object.fromEntries(rates) };
};

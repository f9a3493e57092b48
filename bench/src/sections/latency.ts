import { latencies } from '../latency.js';
import { scaled } from '../measure.js';
import { rounded } from '../statistics.js';
import { times, type Section } from './section.js';

/** From a commit to the handler in another process, beside the bare statements that this takes. */
export const latency: Section = async ({ server, say, scale }) => {
  // The first thousand do not count.
  const { handler, bare, chain } = await latencies(server, 1_000 + scaled(5_000, scale));
  const both = ({ p50, p99 }: typeof handler): string =>
    `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`;
  say(
    `commit to handler in another process, 200/s: ${both(handler)}; ` +
      `insert, NOTIFY and read: ${both(bare)} (p99 ${times(handler.p99 / bare.p99, 1)}); ` +
      `by bare statements: ${both(chain)} (p50 ${times(handler.p50 / chain.p50, 1)}, p99 ${times(handler.p99 / chain.p99, 1)})`,
  );
  const json = ({ p50, p99 }: typeof handler): { p50: number; p99: number } => ({
    p50: rounded(p50),
    p99: rounded(p99),
  });
  return {
    handlerLatencyMs: json(handler),
    bareChainMs: json(chain),
    bareRoundTripMs: json(bare),
    handlerVsBareChain: {
      p50: rounded(handler.p50 / chain.p50),
      p99: rounded(handler.p99 / chain.p99),
    },
  };
};

import { InvalidArgumentError } from '../../errors/index.js';

/** How much may wait in the landing queue of a group. Dead letters do not count. */
export interface LandingBounds {
  /** From so many messages on, the breaker of the group opens while nearly everything fails. Default 10,000. */
  readonly softMessages: number;
  /** The same in bytes: payloads, and 500 bytes for each message. Default 64 MiB. */
  readonly softBytes: number;
  /** From so many messages on, nothing more is taken from the broker. Default 1,000,000. */
  readonly maxMessages: number;
  /** The same in bytes. Default 1 GiB. */
  readonly maxBytes: number;
}

const MIB = 1_048_576;

export const DEFAULT_LANDING_BOUNDS: LandingBounds = Object.freeze({
  softMessages: 10_000,
  softBytes: 64 * MIB,
  maxMessages: 1_000_000,
  maxBytes: 1_024 * MIB,
});

/** The greatest bounds: more messages are not counted, and more bytes are a database of their own. */
export const MOST_LANDED = { messages: 100_000_000, bytes: 1_048_576 * MIB } as const;

const MOST: Readonly<Record<keyof LandingBounds, number>> = {
  softMessages: MOST_LANDED.messages,
  softBytes: MOST_LANDED.bytes,
  maxMessages: MOST_LANDED.messages,
  maxBytes: MOST_LANDED.bytes,
};

/**
 * Completes bounds by the defaults.
 *
 * @throws InvalidArgumentError where a bound is no whole number from 1, or a soft one is above the other
 */
export function landingBounds(name: string, given: Partial<LandingBounds> = {}): LandingBounds {
  const bounds = { ...DEFAULT_LANDING_BOUNDS, ...given };
  for (const [bound, value] of Object.entries(bounds)) {
    const most = new Map(Object.entries(MOST)).get(bound) ?? 0;
    if (Number.isInteger(value) && value >= 1 && value <= most) continue;
    const remedy = `Give a whole number from 1 to ${String(most)}, or leave it out.`;
    throw new InvalidArgumentError(name, `bounds.${bound}`, value, remedy);
  }
  const problem = crossedBounds(bounds);
  if (problem !== null) {
    const { bound, remedy } = problem;
    throw new InvalidArgumentError(name, `bounds.${bound}`, bounds[bound], remedy);
  }
  return bounds;
}

/** The soft bound that is above the other one, and what to do; null: both are below. */
export function crossedBounds(
  bounds: LandingBounds,
): { readonly bound: 'softMessages' | 'softBytes'; readonly remedy: string } | null {
  const { softMessages, softBytes, maxMessages, maxBytes } = bounds;
  if (softMessages > maxMessages) {
    return { bound: 'softMessages', remedy: `Give at most maxMessages, ${String(maxMessages)}.` };
  }
  if (softBytes > maxBytes) {
    return { bound: 'softBytes', remedy: `Give at most maxBytes, ${String(maxBytes)}.` };
  }
  return null;
}

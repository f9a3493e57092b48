import { guardedCall, guardedLogger } from '../../observers/index.js';
import type { Clock, LandingBacklog, Logger, Timer, UnservedQueue } from '../../ports/index.js';
import { OptionalLook } from '../../retry/index.js';

/** Returns the queues of a store or broker that have messages and no process. */
export type UnservedSource = () => Promise<readonly UnservedQueue[]>;

export interface UnservedWatchOptions {
  readonly sources: readonly UnservedSource[];
  readonly clock: Clock;
  readonly logger: Logger;
  /**
   * Called after every look with the queues that are unserved now. An error that it throws is logged.
   */
  readonly observer?: (queues: readonly UnservedQueue[]) => void;
  /** How often to look, in ms. Default 30,000. */
  readonly everyMs?: number;
  /**
   * How long a queue must be unserved before it is reported, in ms, so that a deployment does not lead
   * to a warning. Default 60,000.
   */
  readonly graceMs?: number;
}

const EVERY_MS = 30_000;
const GRACE_MS = 60_000;
/** How often the warning about an unserved queue is repeated, in ms. */
const REPEAT_MS = 3_600_000;

interface Seen {
  readonly since: number;
  warnedAt: number | null;
}

/**
 * Looks regularly for messages that no process will take: an outbox without a relay, a consumer group
 * without a process, a topic without a group, a landing queue without a process of its group. No running process uses these queues, so without this
 * look their messages would wait unnoticed.
 */
export class UnservedWatch {
  readonly #options: UnservedWatchOptions;
  readonly #looks: readonly { readonly source: UnservedSource; readonly look: OptionalLook }[];
  readonly #seen = new Map<string, Seen>();
  #current: readonly UnservedQueue[] = [];
  #timer: Timer | null = null;
  #looking: Promise<void> | null = null;
  #stopped = false;

  constructor(options: UnservedWatchOptions) {
    const logger = guardedLogger(options.logger);
    this.#options = { ...options, logger };
    const what = 'Looking for queues that no process serves';
    const everyMs = options.everyMs ?? EVERY_MS;
    this.#looks = options.sources.map((source) => ({
      source,
      look: new OptionalLook({ clock: options.clock, logger, what, everyMs }),
    }));
  }

  /** The queues that were unserved at the last look, and have been for longer than the grace. */
  get current(): readonly UnservedQueue[] {
    return this.#current;
  }

  /** Looks now, and from then on regularly. */
  start(): void {
    this.#looking ??= this.#round();
  }

  /** Stops; resolves after the look under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#looking;
  }

  async #round(): Promise<void> {
    await this.#look();
    this.#looking = null;
    if (this.#stopped) return;
    this.#timer = this.#options.clock.after(this.#options.everyMs ?? EVERY_MS, () => this.start());
  }

  async #look(): Promise<void> {
    const { logger, observer } = this.#options;
    const found: UnservedQueue[] = [];
    let complete = true;
    for (const { source, look } of this.#looks) {
      const result = await look.ask(source);
      switch (result.kind) {
        case 'answer':
          found.push(...result.value);
          break;
        case 'refused':
          // This process never learns of that source's queues, which must not hide those of the others.
          break;
        case 'failed':
          complete = false;
          break;
      }
    }
    // If a source did not answer, the queues that are known stay known.
    if (!complete) return;
    this.#current = this.#judge(found);
    guardedCall(
      () => observer?.(this.#current),
      (error) => logger.error('An observer of unserved queues failed.', {}, error),
    );
  }

  #judge(found: readonly UnservedQueue[]): readonly UnservedQueue[] {
    const { clock, graceMs = GRACE_MS } = this.#options;
    const now = clock.now();
    const names = new Set(found.map(nameOf));
    for (const name of this.#seen.keys()) if (!names.has(name)) this.#seen.delete(name);
    return found.filter((queue) => {
      const seen = this.#seen.get(nameOf(queue)) ?? { since: now, warnedAt: null };
      this.#seen.set(nameOf(queue), seen);
      if (now - seen.since < graceMs) return false;
      if (seen.warnedAt === null || now - seen.warnedAt >= REPEAT_MS) {
        seen.warnedAt = now;
        this.#options.logger.warn(warningOf(queue), { ...queue });
      }
      return true;
    });
  }
}

/** The queue of a group that no process works on, as it is reported. */
export function unservedLanding({ group, waiting, oldestMs }: LandingBacklog): UnservedQueue {
  return { kind: 'landing', name: group, oldestMs, waiting };
}

function nameOf({ kind, name }: UnservedQueue): string {
  return `${kind} ${name}`;
}

function warningOf({ kind, name, oldestMs, waiting = 0 }: UnservedQueue): string {
  const waited = `the oldest has waited for ${Math.round(oldestMs / 1_000)} s`;
  switch (kind) {
    case 'outbox':
      return `Messages wait in the outbox of the connection '${name}' and no relay lives that publishes them; ${waited}. Start a process with the relay role on this database.`;
    case 'group':
      return `Messages wait for the consumer group '${name}' and none of its processes lives; ${waited}. Start one, or remove the group if it will not be served again: npx sagaz groups remove ${name}.`;
    case 'topic':
      return `Messages wait in the topic '${name}', which no consumer group has ever joined; ${waited}. Start the service that handles them, or stop publishing them.`;
    case 'landing':
      return `${waiting} message(s) wait in the landing queue of the consumer group '${name}' and none of its processes lives; ${waited}. Start one; if the group has another name now, npx sagaz landing rename ${name} <new name>; if it will not be served again, npx sagaz landing retire ${name}.`;
  }
}

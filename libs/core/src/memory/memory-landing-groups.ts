import {
  GroupExistsError,
  GroupInUseError,
  originalOf,
  UnknownGroupError,
} from '../messaging/index.js';
import {
  MOST_COUNTED,
  type LandingBacklog,
  type Message,
  type Retirement,
} from '../ports/index.js';
import type { MemoryAttemptNotes } from './memory-attempt-notes.js';
import type { MemoryInboxClaims } from './memory-inbox-claims.js';
import { lockMessage } from './memory-inbox-locks.js';
import type { MemoryLandingQueue } from './memory-landing-queue.js';
import type { MemoryLandings } from './memory-landings.js';
import type { MemoryTransaction } from './memory-transaction.js';

const WAIT_MS = 1_000;

export interface MemoryLandingGroupsParts {
  readonly landings: MemoryLandings;
  readonly claims: MemoryInboxClaims;
  readonly notes: MemoryAttemptNotes;
}

/** The landing queues of all groups in memory. */
export class MemoryLandingGroups {
  readonly #parts: MemoryLandingGroupsParts;

  constructor(parts: MemoryLandingGroupsParts) {
    this.#parts = parts;
  }

  backlog(): readonly LandingBacklog[] {
    return this.#parts.landings.all().map(([group, queue]) => ({
      group,
      waiting: queue.size(MOST_COUNTED).messages,
      oldestMs: queue.oldestMs(),
    }));
  }

  async unserved(): Promise<readonly LandingBacklog[]> {
    const unserved = new Set<string>();
    for (const [group, queue] of this.#parts.landings.all()) {
      if ((await queue.unserved()) !== null) unserved.add(group);
    }
    return this.backlog().filter(({ group }) => unserved.has(group));
  }

  rename(from: string, to: string, own: MemoryTransaction): number {
    const { landings, claims, notes } = this.#parts;
    const queue = this.#idle(from, 'renamed');
    const other = landings.known(to);
    if (other !== undefined) this.#idle(to, 'renamed');
    const waits = other !== undefined && other.waiting(own).length + other.deadLetters().length > 0;
    if (waits || claims.has(to, own)) throw new GroupExistsError(to);
    const renamed = claims.rename(from, to, own);
    notes.rename(from, to, own);
    own.stage(() => landings.move(from, to, queue));
    return renamed;
  }

  async retire(
    group: string,
    retirement: Retirement,
    limit: number,
    own: MemoryTransaction,
  ): Promise<readonly Message[]> {
    const { claims, notes } = this.#parts;
    const queue = this.#idle(group, 'retired');
    const retired: Message[] = [];
    for (const row of queue.waiting(own).slice(0, limit)) {
      const { tenant, source, id } = row.message;
      const key = { tenant, group, source, id };
      await lockMessage(key, own, WAIT_MS);
      if (claims.get(key, own) !== 'landed') continue;
      claims.set(key, 'dead', own);
      notes.forget(key, own);
      await queue.retire(row, retirement, own);
      retired.push(originalOf(row.message));
    }
    return retired;
  }

  #idle(group: string, undone: 'renamed' | 'retired'): MemoryLandingQueue {
    const queue = this.#parts.landings.known(group);
    if (queue === undefined) throw new UnknownGroupError(group, 'The store');
    if (queue.processes > 0) throw new GroupInUseError(group, queue.processes, undone);
    return queue;
  }
}

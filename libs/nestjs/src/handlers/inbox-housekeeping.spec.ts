import type { Logger } from '@sagaz/core';
import { MemoryInboxStore, MemoryTransactions } from '@sagaz/core/memory';
import { VirtualClock } from '@sagaz/core/testing';
import { describe, expect, it } from 'vitest';
import { InboxHousekeeping } from './inbox-housekeeping.js';

const DAY_MS = 86_400_000;

/** Has so many old rows, and takes away as many at once as it is asked to. */
class FullInbox extends MemoryInboxStore {
  rows = 0;
  away = false;
  readonly asked: number[] = [];

  override async prune(doneMs: number, limit: number): Promise<number> {
    this.asked.push(doneMs);
    if (this.away) throw new Error('the database is away');
    const gone = Math.min(this.rows, limit);
    this.rows -= gone;
    return gone;
  }
}

function setUp() {
  const clock = new VirtualClock();
  const inbox = new FullInbox(new MemoryTransactions(clock), clock);
  const warnings: string[] = [];
  const logger: Logger = {
    debug: () => undefined,
    info: () => undefined,
    warn: (message) => warnings.push(message),
    error: () => undefined,
  };
  return { clock, inbox, warnings, keeping: new InboxHousekeeping(inbox, clock, logger, DAY_MS) };
}

describe('the housekeeping of an inbox', () => {
  it('forgets all that is old, a thousand rows at a time', async () => {
    const { clock, inbox, keeping } = setUp();
    inbox.rows = 2_500;
    keeping.start();
    await clock.advance(60_000);
    expect(inbox.rows).toBe(0);
    expect(inbox.asked).toEqual([DAY_MS, DAY_MS, DAY_MS]);
  });

  it('goes on after a minute in which the database was away', async () => {
    const { clock, inbox, warnings, keeping } = setUp();
    inbox.rows = 1;
    inbox.away = true;
    keeping.start();
    await clock.advance(60_000);
    expect(warnings).toHaveLength(1);
    inbox.away = false;
    await clock.advance(60_000);
    expect(inbox.rows).toBe(0);
  });

  it('does nothing once it is stopped', async () => {
    const { clock, inbox, keeping } = setUp();
    keeping.start();
    keeping.stop();
    await clock.advance(120_000);
    expect(inbox.asked).toEqual([]);
  });
});

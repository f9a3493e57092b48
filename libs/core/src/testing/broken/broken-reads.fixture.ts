import { MemoryOutboxStore } from '../../memory/index.js';
import type { ReadRequest, ReadResult } from '../../ports/index.js';

/** Remembers how far it has read: what is numbered early and commits late is never seen. */
export class ReadsByCursor extends MemoryOutboxStore {
  #cursor = 0n;

  override async read(request: ReadRequest): Promise<ReadResult> {
    const result = await super.read(request);
    const rows = result.rows.filter((row) => BigInt(row.seq) > this.#cursor);
    for (const row of rows) if (BigInt(row.seq) > this.#cursor) this.#cursor = BigInt(row.seq);
    return { ...result, rows };
  }
}

/** Bounds its reads by rows alone. */
export class ReadsAnyBytes extends MemoryOutboxStore {
  override async read(request: ReadRequest): Promise<ReadResult> {
    return super.read({ ...request, bytes: 2 ** 40 });
  }
}

/** Fills a read up with whatever comes: a slot that is cut off is cut off in the middle. */
export class ReadsWithGaps extends MemoryOutboxStore {
  override async read(request: ReadRequest): Promise<ReadResult> {
    const result = await super.read({ ...request, limit: 100_000, perSlot: 100_000 });
    return { ...result, rows: [...result.rows].reverse().slice(0, request.limit).reverse() };
  }
}

/** Does not read on behind the rows of a busy key. */
export class StopsAtBusyKeys extends MemoryOutboxStore {
  override async read({ passingOver, ...request }: ReadRequest): Promise<ReadResult> {
    const result = await super.read(request);
    const keys = new Set(passingOver?.keys.map(({ key }) => key));
    return { ...result, rows: result.rows.filter(({ message }) => !keys.has(message.key)) };
  }
}

/** Takes its horizon from what has begun, not from what has ended. */
export class ForgetsOpenWriters extends MemoryOutboxStore {
  override async read(request: ReadRequest): Promise<ReadResult> {
    const result = await super.read(request);
    const { xid } = await this.probeFloor();
    return { ...result, snapshotXmin: xid };
  }
}

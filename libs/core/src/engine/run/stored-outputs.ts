import { bytesOf, type Clock, type SagaStore } from '../../ports/index.js';
import type { RepeatedFailure } from '../../retry/index.js';
import { UnreadableJournalError, type StoredOutput } from '../journal/index.js';

export interface StoredOutputsOptions {
  readonly store: Pick<SagaStore, 'dataOf'>;
  readonly clock: Clock;
  readonly failure: RepeatedFailure;
}

/** Outputs that were written or read a moment ago are kept up to so many bytes: the next step often asks for them. */
const MOST_KEPT = 16 * 1_024 * 1_024;
/** The outputs that running steps hold. A step that needs more waits until others have ended, or runs alone. */
const MOST_LENT = 64 * 1_024 * 1_024;
/** The bytes that one statement reads, about. */
const AT_ONCE = 8 * 1_024 * 1_024;

/** The outputs that an attempt may read, while it runs. */
export interface LentOutputs {
  /** The text of the data in which the output stands; undefined: it is not lent. */
  textOf(output: StoredOutput): string | undefined;
  /** The attempt has ended, and others get the room. May be called again. */
  release(): void;
}

interface Kept {
  bytes: number;
  readonly texts: Map<string, string>;
}

/**
 * Reads the large outputs of sagas for the steps that ask for them, and bounds how much of them is in memory.
 */
export class StoredOutputs {
  readonly #options: StoredOutputsOptions;
  /** By saga; the one that was used last is the last. */
  readonly #kept = new Map<string, Kept>();
  #keptBytes = 0;
  #lent = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(options: StoredOutputsOptions) {
    this.#options = options;
  }

  /** The bytes of outputs that running steps hold. */
  get lent(): number {
    return this.#lent;
  }

  /** Keeps the data of an output that was just written. */
  keep(sagaId: string, output: StoredOutput, text: string): void {
    const bytes = bytesOf(text);
    const kept = this.#kept.get(sagaId) ?? { bytes: 0, texts: new Map<string, string>() };
    if (kept.texts.has(placeOf(output)) || bytes > MOST_KEPT) return;
    kept.texts.set(placeOf(output), text);
    kept.bytes += bytes;
    this.#keptBytes += bytes;
    this.#kept.delete(sagaId);
    this.#kept.set(sagaId, kept);
    for (const id of this.#kept.keys()) {
      if (this.#keptBytes <= MOST_KEPT) return;
      this.forget(id);
    }
  }

  /** Forgets what is kept of a saga that does not run here any more. */
  forget(sagaId: string): void {
    this.#keptBytes -= this.#kept.get(sagaId)?.bytes ?? 0;
    this.#kept.delete(sagaId);
  }

  /** The data of an output, where it is at hand. */
  textOf(sagaId: string, output: StoredOutput): string | undefined {
    return this.#kept.get(sagaId)?.texts.get(placeOf(output));
  }

  /**
   * Reads outputs for an attempt, once there is room for them. While the store is away it tries again, for as
   * long as they are `wanted`.
   *
   * @throws UnreadableJournalError where the store has an output no more
   */
  async lend(
    sagaId: string,
    outputs: readonly StoredOutput[],
    wanted: () => boolean,
  ): Promise<LentOutputs> {
    const bytes = outputs.reduce((sum, output) => sum + output.bytes, 0);
    await this.#take(bytes);
    let held = true;
    const release = (): void => {
      if (!held) return;
      held = false;
      this.#lent -= bytes;
      for (const next of this.#waiting.splice(0)) next();
    };
    try {
      const texts = await this.#read(sagaId, outputs, wanted);
      return { textOf: (output) => texts.get(placeOf(output)), release };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Takes room for outputs. What is larger than all the room is taken when nothing else is. */
  async #take(bytes: number): Promise<void> {
    while (this.#lent > 0 && this.#lent + bytes > MOST_LENT) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#lent += bytes;
  }

  async #read(
    sagaId: string,
    outputs: readonly StoredOutput[],
    wanted: () => boolean,
  ): Promise<ReadonlyMap<string, string>> {
    const { store, clock, failure } = this.#options;
    const texts = new Map<string, string>();
    const missing: StoredOutput[] = [];
    for (const output of outputs) {
      const text = this.textOf(sagaId, output);
      if (text === undefined) missing.push(output);
      else texts.set(placeOf(output), text);
    }
    while (missing.length > 0 && wanted()) {
      let read: readonly (string | null)[];
      try {
        read = await store.dataOf(sagaId, missing, AT_ONCE);
        failure.worked();
      } catch (error) {
        const pauseMs = failure.failed(error);
        await new Promise<void>((resolve) => clock.after(pauseMs, resolve));
        continue;
      }
      for (const text of read) {
        const output = missing.shift();
        if (output === undefined) break;
        if (text === null) throw lost(output);
        texts.set(placeOf(output), text);
        this.keep(sagaId, output, text);
      }
    }
    return texts;
  }
}

function placeOf({ revision, ordinal }: StoredOutput): string {
  return `${String(revision)}:${String(ordinal)}`;
}

function lost(output: StoredOutput): UnreadableJournalError {
  const detail = `The output of the entry ${String(output.revision)}.${String(output.ordinal)} is missing.`;
  return new UnreadableJournalError('', detail);
}

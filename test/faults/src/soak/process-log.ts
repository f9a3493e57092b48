import { createWriteStream, type WriteStream } from 'node:fs';
import { Writable } from 'node:stream';

const LAST_LINES = 20;

/** The log of one process: a file, and the last lines of it for whoever asks why the process ended. */
export class ProcessLog extends Writable {
  readonly #file: WriteStream;
  #last = '';

  constructor(path: string) {
    super();
    this.#file = createWriteStream(path);
    this.#file.on('error', (error) => this.destroy(error));
    // A log that cannot be written must not end the run whose log it is.
    this.on('error', () => undefined);
  }

  get lastLines(): readonly string[] {
    return this.#last.split('\n').filter(Boolean).slice(-LAST_LINES);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void) {
    const lines = `${this.#last}${chunk.toString()}`.split('\n');
    this.#last = lines.slice(-LAST_LINES - 1).join('\n');
    this.#file.write(chunk, (error) => done(error));
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#file.end(() => done());
  }
}

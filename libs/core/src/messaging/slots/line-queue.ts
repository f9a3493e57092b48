import type { KeyLine } from './key-line.js';

/** Lines that may be taken from, first come first served; both ends are cheap. */
export class LineQueue {
  #items: KeyLine[] = [];
  #start = 0;
  /** Lines taken out and put back at the front. */
  #front: KeyLine[] = [];

  get empty(): boolean {
    return this.#front.length === 0 && this.#start >= this.#items.length;
  }

  push(line: KeyLine): void {
    if (line.queued) return;
    line.queued = true;
    this.#items.push(line);
  }

  unshift(line: KeyLine): void {
    if (line.queued) return;
    line.queued = true;
    this.#front.push(line);
  }

  shift(): KeyLine | undefined {
    let line = this.#front.pop();
    if (line === undefined) {
      line = this.#items[this.#start];
      if (line === undefined) return undefined;
      this.#start += 1;
      if (this.#start > 1_024 && this.#start * 2 > this.#items.length) {
        this.#items = this.#items.slice(this.#start);
        this.#start = 0;
      }
    }
    line.queued = false;
    return line;
  }
}

/** Lets orders through in their order, up to a number that only rises. */
export class Turnstile {
  private open = 0;
  private waiting: { readonly at: number; readonly pass: () => void }[] = [];

  /** Lets through all before `upTo`. */
  letThrough(upTo: number): void {
    this.open = Math.max(this.open, upTo);
    const passing = this.waiting.filter(({ at }) => at < this.open);
    this.waiting = this.waiting.filter(({ at }) => at >= this.open);
    for (const { pass } of passing) pass();
  }

  /** Resolves when the order at this place, counted from 0, may pass. */
  async pass(at: number): Promise<void> {
    if (at < this.open) return;
    await new Promise<void>((resolve) => this.waiting.push({ at, pass: resolve }));
  }
}

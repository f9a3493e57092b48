import pc from 'picocolors';

/** Tells a person what happens, on stderr, so that stdout holds nothing but the result. */
export class Narrator {
  private readonly began = performance.now();
  private line = '';

  readonly killed = (name: string, underWay: number): void => {
    this.say(pc.yellow(`killed ${name} (SIGKILL), ${String(underWay)} orders under way`));
  };

  /** Each order with a mistake in it by its id; of the others, of which a run has many, how many. */
  rejected(reasons: ReadonlyMap<string, string>): void {
    const counts = new Map<string, number>();
    for (const [id, reason] of reasons) {
      if (reason === 'unknown_product') this.say(`rejected: order ${id}: ${reason}`);
      counts.set(reason, (counts.get(reason) ?? 0) + 1);
    }
    const summary = [...counts].map(([reason, count]) => `${reason} ${String(count)}`);
    if (summary.length > 0) this.say(`reasons for rejections: ${summary.join(', ')}`);
  }

  say(text: string): void {
    const seconds = ((performance.now() - this.began) / 1000).toFixed(1).padStart(6);
    this.clear();
    process.stderr.write(`${pc.dim(seconds)}  ${text}\n`);
    process.stderr.write(this.line);
  }

  /** Shows how many orders have ended until the returned function is called. */
  follow(ended: () => Promise<number>, total: number): () => void {
    let shown = -1;
    const show = async (): Promise<void> => {
      const now = await ended();
      if (now === shown) return;
      const tenth = Math.max(1, Math.floor(total / 10));
      if (process.stderr.isTTY) {
        this.clear();
        this.line = `        ${bar(now / total)} ${String(now)} of ${String(total)} orders have ended`;
        process.stderr.write(this.line);
      } else if (Math.floor(now / tenth) !== Math.floor(shown / tenth)) {
        this.say(`${String(now)} of ${String(total)} orders have ended`);
      }
      shown = now;
    };
    const timer = setInterval(() => {
      show().catch(() => undefined); // The next look tells.
    }, 200);
    return () => {
      clearInterval(timer);
      this.clear();
      this.line = '';
    };
  }

  private clear(): void {
    if (this.line !== '') process.stderr.write('\r\u001b[2K');
  }
}

function bar(share: number): string {
  const full = Math.round(Math.min(1, share) * 30);
  return pc.green('█'.repeat(full)) + pc.dim('░'.repeat(30 - full));
}

import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { CHECKOUT } from './checkout.js';

export interface ChildOptions {
  /** A folder of another checkout, built, whose libraries the worker runs. Default: this one's. */
  readonly checkout?: string | undefined;
  /** The Node that runs the worker. Default: that of this process. */
  readonly node?: string;
}

/** Runs a worker in a process of its own and answers what it sends. */
export function inChild<T>(
  worker: string,
  input: unknown,
  { checkout, node }: ChildOptions = {},
): Promise<T> {
  return new Promise((resolve, reject) => {
    const script = fileURLToPath(new URL(`./workers/${worker}.js`, import.meta.url));
    const hook = new URL('./register-checkout.js', import.meta.url).href;
    const child = fork(script, [JSON.stringify(input)], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      ...(node !== undefined && { execPath: node }),
      ...(checkout !== undefined && {
        execArgv: [...process.execArgv, '--import', hook],
        env: { ...process.env, [CHECKOUT]: checkout },
      }),
    });
    let answer: { readonly value: T } | null = null;
    child.once('message', (value) => {
      answer = { value: value as T };
    });
    child.once('error', reject);
    child.once('exit', (code) => {
      if (answer !== null) resolve(answer.value);
      else reject(new Error(`The worker ${worker} ended with code ${String(code)} and no answer.`));
    });
  });
}

/** The worker's side: its input, and how to answer. */
export async function answer<I, T>(work: (input: I) => Promise<T>): Promise<never> {
  const value = await work(JSON.parse(process.argv[2] ?? 'null') as I);
  await new Promise<void>((resolve) => {
    process.send?.(value, undefined, undefined, () => {
      resolve();
    });
  });
  process.exit(0);
}

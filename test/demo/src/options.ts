import { Command, InvalidArgumentError } from 'commander';

export interface DemoOptions {
  readonly orders?: string;
  readonly products?: string;
  readonly count?: number;
  readonly seed: number;
  readonly kill: boolean;
  readonly keep: boolean;
  readonly json: boolean;
}

/** Reads the command line; a wrong option ends the process with its name and what is expected. */
export function readOptions(argv: readonly string[]): DemoOptions {
  const program = new Command('npm run demo --')
    .description(
      'Sends orders through three services and an outbox worker, kills each of these processes ' +
        'while it works, and checks that every order ended right.',
    )
    .option('--orders <file>', 'orders to send, one JSON object a line (default: made up)')
    .option('--products <file>', 'products there are, one JSON object a line (default: made up)')
    .option(
      '--count <n>',
      'how many orders to make up, or to take from the file (default: 200, or the whole file)',
      wholeNumber,
    )
    .option('--seed <n>', 'seed of what is made up', wholeNumber, 1)
    .option('--no-kill', 'leave the processes alone')
    .option('--keep', 'stay up when all is done, and print the addresses', false)
    .option('--json', 'end with one line of JSON', false)
    .allowExcessArguments(false)
    .parse([...argv]);
  return program.opts<DemoOptions>();
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 1_000_000) {
    throw new InvalidArgumentError('Expected a whole number from 1 to 1,000,000.');
  }
  return value;
}

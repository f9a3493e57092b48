import Table from 'cli-table3';
import pc from 'picocolors';
import type { Findings } from './audit.js';

export interface Result extends Findings {
  readonly orders: number;
  readonly messagesPublished: number;
  readonly duplicatesDropped: number;
  readonly kills: number;
  readonly seconds: number;
}

const RULES = [
  ['unfinished', 'Orders that did not come to an end'],
  ['needsAttention', 'Orders that wait for a person'],
  ['oversoldProducts', 'Products sold more often than there were'],
  ['chargedNotConfirmed', 'Charged, but not confirmed'],
  ['confirmedNotCharged', 'Confirmed, but not charged'],
  ['reservedNotConfirmed', 'Stock held by orders that are not confirmed'],
  ['doubleCharges', 'Charged twice'],
] as const satisfies readonly (readonly [keyof Findings, string])[];

/** Without the library's own colours, and without a line between every two rows. */
const PLAIN = { style: { head: [], border: [], compact: true } };

/** Whether every rule held. */
export function allHeld(result: Result): boolean {
  return RULES.every(([name]) => result[name] === 0);
}

/** The result as a person reads it: what happened, then each rule with its verdict. */
export function renderReport(result: Result): string {
  const happened = new Table({
    ...PLAIN,
    head: ['What happened', ''],
    colAligns: ['left', 'right'],
  });
  happened.push(
    ['Orders', result.orders],
    ['  confirmed', result.confirmed],
    ['  rejected', result.rejected],
    ['Messages published', result.messagesPublished],
    ['Duplicates dropped', result.duplicatesDropped],
    ['Processes killed', result.kills],
    ['Seconds', result.seconds],
  );
  const rules = new Table({
    ...PLAIN,
    head: ['What must not be', '', ''],
    colAligns: ['left', 'right', 'left'],
  });
  for (const [name, text] of RULES) {
    rules.push([text, result[name], result[name] === 0 ? pc.green('✔') : pc.red('✘ broken')]);
  }
  return `${happened.toString()}\n${rules.toString()}`;
}

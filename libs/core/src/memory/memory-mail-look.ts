import { isFinal, type Mail, type MailFound, type MailLook } from '../ports/index.js';
import type { MemorySagaMail } from './memory-saga-mail.js';
import { isOneOf, type SagaRows } from './memory-saga-rows.js';

const LETTERS = 500;

/** Looks for mail after the mark, which is the place of the last letter that was looked at. */
export function mailFound(letters: MemorySagaMail, rows: SagaRows, look: MailLook): MailFound {
  const { incarnation, definitions, format, from, limit = LETTERS, bytes = Infinity } = look;
  const mail: Mail[] = [];
  const wakes = new Set<string>();
  let place = Number(from ?? 0);
  let read = 0;
  let before = 0;
  for (const letter of letters.after(place)) {
    if (read >= limit || before >= bytes)
      return { mail, wakes: [...wakes], mark: String(place), more: true };
    read += 1;
    place = letter.place;
    const row = rows.get(letter.mail.sagaId);
    if (row === undefined) continue;
    if (row.owner === incarnation) {
      mail.push(letter.mail);
      before += Buffer.byteLength(letter.mail.data);
    }
    const { kind, format: needed } = letter.mail;
    const runs = row.format <= format && isOneOf(row, definitions);
    const matters = needed <= format && (!isFinal(row.status) || kind === 'late');
    if (row.owner === null && runs && matters) wakes.add(row.id);
  }
  return { mail, wakes: [...wakes], mark: String(place), more: false };
}

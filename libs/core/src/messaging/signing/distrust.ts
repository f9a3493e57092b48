/** Why a message is not believed. */
export interface Distrust {
  readonly reason: 'unsigned' | 'bad_signature';
  /** `it is not signed`, to be put behind the message's name. */
  readonly problem: string;
}

import {
  InvalidContractError,
  MessageValidationError,
  UnencodableValueError,
  UnserializableValueError,
} from '../../messaging/index.js';
import { UnreturnedCommandError } from '../errors.js';

const CLASSES = [
  InvalidContractError,
  MessageValidationError,
  UnencodableValueError,
  UnreturnedCommandError,
  UnserializableValueError,
] as const;

/**
 * Whether an error is about the value that a method returned. Such an error says nothing about what the
 * method did before.
 */
export function isAboutValue(error: unknown): boolean {
  return CLASSES.some((kind) => error instanceof kind);
}

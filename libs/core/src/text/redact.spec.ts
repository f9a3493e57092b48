import { describe, expect, it } from 'vitest';
import { redact } from './index.js';

describe('redact', () => {
  it.each([
    ['postgres://me:top-secret@host/db', 'postgres://me:***@host/db'],
    ['at postgres://me:a%40b:c@host:5432/db?x=1 now', 'at postgres://me:***@host:5432/db?x=1 now'],
    ['postgres://:top-secret@host/db', 'postgres://:***@host/db'],
    ['postgres://me:p@ss@host/db', 'postgres://me:***@host/db'],
    ['postgres://me:p@ss w@rd@host:1/db', 'postgres://me:***@host:1/db'],
    ['postgres://me:two words@host', 'postgres://me:***@host'],
    ['postgres://me:12 34@host/db', 'postgres://me:***@host/db'],
    ['postgres://me:12/34@host/db', 'postgres://me:***@host/db'],
    ['"postgres://me:it\'s"that@host/db"', '"postgres://me:***@host/db"'],
    ['postgres://me:a?b#c@/db?host=/run', 'postgres://me:***@/db?host=/run'],
    [
      'neither amqp://a:b@h/v nor redis://:c d@h:1/0 answers',
      'neither amqp://a:***@h/v nor redis://:***@h:1/0 answers',
    ],
    [
      'postgres://me:top@host/db does not know help@example.com',
      'postgres://me:***@host/db does not know help@example.com',
    ],
    ["host=x password='a b' user=me", "host=x password='***' user=me"],
    ['host=x password=a b user=me', 'host=x password=*** user=me'],
    ["password='it\\'s me' user=me", "password='***' user=me"],
    ['PGPASSWORD=p sslpassword = q', 'PGPASSWORD=*** sslpassword = ***'],
    ['postgres://host/db?user=me&password=p@q&x=1', 'postgres://host/db?user=me&password=***&x=1'],
    ['postgres://host/db?password=a b&x=1', 'postgres://host/db?password=***&x=1'],
    ['Server=h;Pwd=a b;Database=d', 'Server=h;Pwd=***;Database=d'],
    ['{"user":"me","password":"a\\"b c","x":1}', '{"user":"me","password":"***","x":1}'],
    ["{ user: 'me', password: 'a b', x: 1 }", "{ user: 'me', password: '***', x: 1 }"],
    ['"{\\"password\\":\\"a b\\",\\"x\\":1}"', '"{\\"password\\":\\"***\\",\\"x\\":1}"'],
    ['{"url":"postgres://h/d?password=p","x":1}', '{"url":"postgres://h/d?password=***","x":1}'],
    ['password="never ended', 'password="***'],
    ['Authorization: Bearer abc', 'Authorization: ***'],
    ['authorization: Basic a\nhost: b', 'authorization: ***\nhost: b'],
    ['https://host/a?token=ab&x=1', 'https://host/a?token=***&x=1'],
    ['{"auth":{"user":"me","pass":"a b"},"x":1}', '{"auth":{"user":"me","pass":"***"},"x":1}'],
    ["{ token: 'a b', x: 1 }", "{ token: '***', x: 1 }"],
    ['userpass=a b api_key=c apiKey: d', 'userpass=*** api_key=*** apiKey: ***'],
    ['X-Api-Key: abc\naccess_token: d', 'X-Api-Key: ***\naccess_token: ***'],
    ['aws_secret_access_key=a/b secretKey=c', 'aws_secret_access_key=*** secretKey=***'],
  ])('makes %j into %j', (given, expected) => {
    expect(redact(given)).toBe(expected);
  });

  it.each([
    'nothing to hide at http://host:80/a',
    'GET http://registry:4873/@scope/name',
    'postgres://host:5432/db?user=me@server',
    'postgres://host:5432 did not answer help@example.com',
    'postgres://me@host/db',
    'write to help@example.com: it is away',
    'password authentication failed for user "me"',
    'Unexpected token: }',
    'did not pass: 3 of 4',
    '',
  ])('leaves %j alone', (text) => {
    expect(redact(text)).toBe(text);
  });

  it.each([
    ['letters', 'a'.repeat(100_000)],
    ['beginnings of urls', 'a://b:'.repeat(40_000)],
    ['at signs', `a://b:${'c@'.repeat(100_000)}`],
    ['hosts without an end', `a://b:${'@c '.repeat(100_000)}`],
    ['digits', `a://b:${'1@'.repeat(100_000)}`],
    ['names', 'password'.repeat(30_000)],
    ['parameters', 'password=a '.repeat(20_000)],
    ['blanks', `password=${' '.repeat(100_000)}`],
    ['blanks and letters', `password=${'a '.repeat(100_000)}`],
    ['quotes', `password=${'"'.repeat(100_000)}`],
    ['backslashes', `password="${'\\'.repeat(100_000)}`],
    ['backslashes in front', `password${'\\'.repeat(100_000)}`],
    ['backslashes behind a word', `pass: ${'\\'.repeat(100_000)}`],
    ['words of ordinary messages', 'token: '.repeat(30_000)],
    ['beginnings of words', 'secret_access_'.repeat(30_000)],
    ['backslashes behind', `password=a${'\\'.repeat(100_000)}`],
    ['words', `password=${'a'.repeat(100_000)}`],
    ['words behind a blank', `password= ${'a '.repeat(3)}${'b'.repeat(100_000)}`],
  ])('is done with 100,000 and more %s long before the time limit of this test', (_, text) => {
    // Where each character makes it look at all the others, these take minutes.
    expect(redact(text).length).toBeLessThanOrEqual(text.length + 100_000);
  });
});

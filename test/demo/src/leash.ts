import process from 'node:process';

// Loaded into each service before it starts. Its input ends when the demo does, however that ends:
// killed, it could stop nobody, and the services would ask for a database that is gone for ever.
process.stdin.resume();
// Not process.exit(): that waits for others to write what they have to say, to a pipe nobody reads any more.
process.stdin.once('end', () => process.kill(process.pid, 'SIGKILL'));
if ('unref' in process.stdin) process.stdin.unref();

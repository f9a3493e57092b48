import process from 'node:process';

// Loaded into each service before it starts. Its input ends when the demo does, however that ends:
// killed, it could stop nobody, and the services would ask for a database that is gone for ever.
process.stdin.resume();
process.stdin.once('end', () => process.exit(1));
if ('unref' in process.stdin) process.stdin.unref();

/** Loaded into a process by NODE_OPTIONS: SIGUSR2 makes it collect its garbage, so that what is left is what it holds. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');
process.on('SIGUSR2', () => {
  collect();
  // What only finalizers freed goes with the next one.
  setImmediate(() => collect());
});

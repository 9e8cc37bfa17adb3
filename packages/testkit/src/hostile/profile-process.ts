/** For `node --import`: writes a CPU profile of the whole life of the process into the file that PROFILE_FILE names. */
import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';

const file = process.env['PROFILE_FILE'];
if (file !== undefined) {
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.setSamplingInterval', { interval: 500 });
  session.post('Profiler.start');
  process.on('exit', () => {
    // In this process it is answered at once.
    session.post('Profiler.stop', (error, { profile }) => {
      if (error === null) writeFileSync(file, JSON.stringify(profile));
    });
  });
}

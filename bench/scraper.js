// A scraper that takes what comes as fast as it comes and looks at nothing. In a process of its own, so that its work
// pauses nobody else's event loop. Its parent sends the encoding to ask for and hears the bytes of the answer.
import { request } from 'node:http';

const [port] = process.argv.slice(2);

process.on('message', ({ encoding, stops }) => {
  const headers = { 'accept-encoding': encoding };
  request({ host: '127.0.0.1', port, path: '/metrics', headers, agent: false }, (response) => {
    let bytes = 0;
    response.on('data', (chunk) => {
      bytes += chunk.length;
      if (!stops) return;
      // Until the parent has ended.
      response.pause();
      process.send(bytes);
    });
    response.once('end', () => process.send(bytes));
  }).end();
});
process.once('disconnect', () => process.exit());
process.send('ready');

/** The limit of what Node can give: a bare server that answers 200 with a fixed list of headers. Argument: the list as JSON. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const headers = JSON.parse(process.argv[2] ?? '[]') as string[];
const server = createServer((_request, response) => {
  for (let i = 0; i < headers.length; i += 2)
    response.setHeader(headers[i] as string, headers[i + 1] as string);
  response.statusCode = 200;
  response.end();
});
server.listen({ host: '127.0.0.1', port: 0, backlog: 1_024 }, () => {
  console.log((server.address() as AddressInfo).port);
});

/** The naive baseline: a text frame for each read of the pty, no flow control, no screen; a session ends with its socket. */
import { spawn } from 'node-pty';
import { WebSocketServer } from 'ws';

const [port, shell] = process.argv.slice(2);
const server = new WebSocketServer({ host: '127.0.0.1', port: Number(port), perMessageDeflate: false });

server.on('connection', (socket) => {
  const pty = spawn(shell, [], { name: 'xterm-256color', cols: 80, rows: 24, env: process.env });
  pty.onData((text) => socket.send(text));
  pty.onExit(() => socket.close());
  socket.on('message', (data) => pty.write(data.toString()));
  socket.on('close', () => pty.kill('SIGKILL'));
});

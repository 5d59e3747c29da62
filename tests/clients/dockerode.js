// What npm's `dockerode` does with an engine: node dockerode.js ROOT.tar [API-VERSION]; DOCKER_HOST (unix://…) names the
// engine. ROOT.tar is a root file system with busybox. Prints one line a story; exits 1 when one fails.
'use strict';
const assert = require('assert');
const { PassThrough } = require('stream');
const Docker = require('dockerode');

const [root, version] = process.argv.slice(2);
const docker = new Docker({
  socketPath: process.env.DOCKER_HOST.replace('unix://', ''),
  version: version ? `v${version}` : undefined,
});
const IMAGE = 'estiva-clients-js:1';

const text = async (stream) => {
  const pieces = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces).toString();
};

// Takes Docker's frames apart.
const parted = (stream) =>
  new Promise((done, fail) => {
    const out = new PassThrough();
    const err = new PassThrough();
    docker.modem.demuxStream(stream, out, err);
    stream.on('end', () => (out.end(), err.end()));
    stream.on('error', fail);
    Promise.all([text(out), text(err)]).then(done, fail);
  });

const followed = (stream) =>
  new Promise((done, fail) =>
    docker.modem.followProgress(stream, (error, found) => (error ? fail(error) : done(found))));

async function running(command, options, story) {
  const container = await docker.createContainer({
    Image: IMAGE, Cmd: command, HostConfig: { NetworkMode: 'none' }, ...options });
  try {
    await story(container);
  } finally {
    await container.remove({ force: true });
  }
}

const sleeping = (story) =>
  running(['sleep', '1000'], {}, async (container) => (await container.start(), story(container)));

const stories = {
  async ping_version_info() {
    assert.equal((await docker.ping()).toString(), 'OK');
    assert((await docker.version()).ApiVersion);
    assert((await docker.info()).NCPU > 0);
  },
  async attached_run() {
    await running(['sh', '-c', 'echo out; echo err >&2; exit 3'], {}, async (container) => {
      const stream = await container.attach({ stream: true, stdout: true, stderr: true });
      const output = parted(stream);
      await container.start();
      assert.deepEqual(await output, ['out\n', 'err\n']);
      assert.equal((await container.wait()).StatusCode, 3);
    });
  },
  async input_through_a_hijacked_stream() {
    const open = { OpenStdin: true, StdinOnce: true, AttachStdin: true };
    await running(['cat'], open, async (container) => {
      const stream = await container.attach({ stream: true, stdin: true, stdout: true, hijack: true });
      const output = parted(stream);
      await container.start();
      stream.write('through\n');
      stream.end();
      assert.deepEqual(await output, ['through\n', '']);
    });
  },
  async a_terminal() {
    await running(['tty'], { Tty: true }, async (container) => {
      const stream = await container.attach({ stream: true, stdout: true });
      await container.start();
      assert.equal(await text(stream), '/dev/pts/0\r\n');
    });
  },
  async execs() {
    await sleeping(async (container) => {
      const exec = await container.exec({ Cmd: ['sh', '-c', 'cat; exit 4'], AttachStdin: true, AttachStdout: true });
      const stream = await exec.start({ hijack: true, stdin: true });
      const output = parted(stream);
      stream.write('in\n');
      stream.end();
      assert.deepEqual(await output, ['in\n', '']);
      assert.equal((await exec.inspect()).ExitCode, 4);
      const plain = await container.exec({ Cmd: ['echo', 'hi'], AttachStdout: true });
      assert.deepEqual(await parted(await plain.start({})), ['hi\n', '']);
    });
  },
  async logs_stats_top() {
    await running(['sh', '-c', 'echo one; echo two; sleep 1000'], {}, async (container) => {
      await container.start();
      await new Promise((done) => setTimeout(done, 300));
      const log = await container.logs({ stdout: true, stderr: true, tail: 1 });
      assert.equal(log.subarray(8).toString(), 'two\n');
      const follow = await container.logs({ stdout: true, follow: true });
      const output = parted(follow);
      assert((await container.stats({ stream: false })).memory_stats.usage > 0);
      assert((await container.top()).Processes.length > 0);
      await container.stop({ t: 0 });
      assert.deepEqual(await output, ['one\ntwo\n', '']);
    });
  },
  async archives() {
    await sleeping(async (container) => {
      const archive = Buffer.from(await text(await container.getArchive({ path: '/etc/passwd' })));
      assert(archive.toString().startsWith('passwd'));
      await container.putArchive(archive, { path: '/tmp' });
      const exec = await container.exec({ Cmd: ['ls', '/tmp'], AttachStdout: true });
      assert.deepEqual(await parted(await exec.start({})), ['passwd\n', '']);
      assert((await container.changes()).some((change) => change.Path === '/tmp/passwd' && change.Kind === 1));
      assert((await text(await container.export())).length > 100000);
    });
  },
  async images() {
    const image = docker.getImage(IMAGE);
    assert((await image.inspect()).RepoTags.includes(IMAGE));
    assert((await image.history()).length > 0);
    await image.tag({ repo: 'estiva-clients-js', tag: '2' });
    const saved = await docker.getImage('estiva-clients-js:2').get();
    const pieces = [];
    for await (const piece of saved) pieces.push(piece);
    await docker.getImage('estiva-clients-js:2').remove();
    const body = new PassThrough();
    body.end(Buffer.concat(pieces));
    await followed(await docker.loadImage(body));
    await docker.getImage('estiva-clients-js:2').remove();
    await assert.rejects(docker.getImage('estiva-nosuch:1').inspect(), { statusCode: 404 });
  },
  async commits() {
    await running(['sh', '-c', 'echo made > /made'], {}, async (container) => {
      await container.start();
      await container.wait();
      const { Id } = await container.commit({ repo: 'estiva-clients-js', tag: 'c', comment: 'note' });
      assert.equal((await docker.getImage(Id).inspect()).Comment, 'note');
      await docker.getImage(Id).remove({ force: true });
    });
  },
  async volumes_events_df() {
    const since = Math.floor(Date.now() / 1000) - 1;
    await docker.createVolume({ Name: 'estiva-js-v' });
    assert((await docker.listVolumes()).Volumes.some((volume) => volume.Name === 'estiva-js-v'));
    await docker.getVolume('estiva-js-v').remove();
    const until = Math.floor(Date.now() / 1000) + 1;
    const events = await text(await docker.getEvents({ since, until, filters: { volume: ['estiva-js-v'] } }));
    const actions = events.trim().split('\n').map((line) => JSON.parse(line).Action);
    assert.deepEqual(actions, ['create', 'destroy']);
    assert('LayersSize' in (await docker.df()));
    assert((await docker.listNetworks()).some((network) => network.Name === 'host'));
  },
  async life() {
    await sleeping(async (container) => {
      await container.pause();
      assert.equal((await container.inspect()).State.Status, 'paused');
      await container.unpause();
      await container.rename({ name: 'estiva-js-life' });
      await container.update({ Memory: 64 << 20, MemorySwap: 64 << 20 });
      await container.restart({ t: 0 });
      await container.kill();
      assert.equal((await container.wait()).StatusCode, 137);
      const list = await docker.listContainers({ all: true, filters: { name: ['estiva-js-life'] } });
      assert.equal(list[0].State, 'exited');
    });
  },
};

(async () => {
  await followed(await docker.importImage(root, { repo: 'estiva-clients-js', tag: '1' }));
  let failed = 0;
  for (const [name, story] of Object.entries(stories)) {
    let timer;
    const late = new Promise((_, fail) => (timer = setTimeout(() => fail(new Error('not in 20 s')), 20000)));
    try {
      await Promise.race([story(), late]);
      console.log(`ok   dockerode ${version || 'newest'} ${name}`);
    } catch (error) {
      failed += 1;
      console.log(`FAIL dockerode ${version || 'newest'} ${name}\n${error.stack}`);
    } finally {
      clearTimeout(timer);
    }
  }
  await docker.getImage(IMAGE).remove({ force: true });
  process.exit(failed ? 1 : 0);
})().catch((error) => {
  console.error(error);
  process.exit(1);
});

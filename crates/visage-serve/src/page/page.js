'use strict';
const $ = id => document.getElementById(id);
const percent = value => `${(value * 100).toFixed(value > 0.005 && value < 0.995 ? 0 : 1)} %`;
const words = name => name.replaceAll('_', ' ');

let models = [];
let token = '';
// What is asked about, the answers, and the addresses of the picture and of the heat over it.
let picture = null, answers = [], pictureUrl = '', heatUrl = '';
// Only the answer to the latest question is shown.
let question = 0;

async function ask(path, body) {
  const headers = {};
  if (token) headers.authorization = `Bearer ${token}`;
  if (body) headers['content-type'] = 'application/octet-stream';
  let answer;
  try {
    answer = await fetch(path, { method: body ? 'POST' : 'GET', headers, body, cache: 'no-store' });
  } catch {
    throw new Error('The server cannot be reached.');
  }
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({}));
  if (answer.status === 401) {
    $('login').hidden = false;
    $('token').focus();
    throw new Error(token ? 'This is not the token.' : 'The server asks for a token.');
  }
  throw new Error(problem.detail ? `${problem.detail[0].toUpperCase()}${problem.detail.slice(1)}.` : `The server answered ${answer.status}.`);
}

function say(status, error = '') {
  $('status').textContent = status;
  $('error').textContent = error;
}

const chosen = () => models.find(model => model.name === $('model').value);

async function begin() {
  try {
    models = (await (await ask('v1/models')).json()).models;
  } catch (error) {
    say('', error.message);
    return;
  }
  $('login').hidden = true;
  say('');
  $('model').replaceChildren(...models.map(model => new Option(`${model.name} (${model.architecture}, ${model.height}x${model.width})`, model.name)));
  $('which').hidden = false;
  tellUses();
  if (picture) answer();
}

function tellUses() {
  $('uses').textContent = chosen()?.uses_to_avoid ?? '';
}

// Shows `url` as the picture; addresses of what is in memory are given back when it is replaced.
function show(url, alt, caption) {
  $('image').src = url;
  $('image').alt = alt;
  $('caption').textContent = caption;
  $('shown').hidden = false;
}

function forget(url) {
  if (url) URL.revokeObjectURL(url);
  return '';
}

function take(file) {
  if (!file) return;
  picture = file;
  pictureUrl = forget(pictureUrl);
  pictureUrl = URL.createObjectURL(file);
  showPlain();
  answer();
}

function showPlain() {
  heatUrl = forget(heatUrl);
  $('plain').hidden = true;
  for (const button of $('list').querySelectorAll('[aria-pressed=true]')) button.setAttribute('aria-pressed', 'false');
  show(pictureUrl, 'The picture asked about', picture.name ?? '');
}

async function answer() {
  const mine = ++question;
  say('Asking the model …');
  $('given').hidden = true;
  $('nothing').hidden = false;
  try {
    const about = await (await ask(`v1/attributes?model=${encodeURIComponent($('model').value)}`, picture)).json();
    if (mine !== question) return;
    answers = about.images[0].attributes;
    list();
    say(`Answered: ${$('summary').textContent}`);
  } catch (error) {
    if (mine === question) say('', error.message);
  }
}

function list() {
  const present = answers.filter(each => each.present);
  $('summary').textContent = `${present.length} of ${answers.length} attributes are called present.`;
  const order = $('order').value === 'probable' ? [...answers].sort((a, b) => b.probability - a.probability) : answers;
  $('list').replaceChildren(...order.map(row));
  $('nothing').hidden = true;
  $('given').hidden = false;
}

function row({ name, probability, threshold, present }) {
  const part = (kind, text = '') => {
    const span = document.createElement('span');
    span.className = kind;
    span.textContent = text;
    return span;
  };
  const button = document.createElement('button');
  button.type = 'button';
  button.setAttribute('aria-pressed', 'false');
  const bar = part('bar');
  bar.setAttribute('aria-hidden', 'true');
  bar.style.setProperty('--probability', probability);
  bar.style.setProperty('--threshold', threshold);
  bar.title = `threshold ${percent(threshold)}`;
  button.append(part('name', words(name)), bar, part('number', percent(probability)), part('said', present ? 'present' : 'absent'),
    part('unseen', `threshold ${percent(threshold)}: show where`));
  button.addEventListener('click', () => heat(name, button));
  const item = document.createElement('li');
  if (present) item.className = 'present';
  item.append(button);
  return item;
}

async function heat(name, button) {
  if (button.getAttribute('aria-pressed') === 'true') {
    showPlain();
    say('The picture itself is shown.');
    return;
  }
  const mine = ++question;
  say(`Looking where ${words(name)} is seen …`);
  try {
    const query = `model=${encodeURIComponent($('model').value)}&attribute=${encodeURIComponent(name)}`;
    const png = await (await ask(`v1/heat?${query}`, picture)).blob();
    if (mine !== question) return;
    showPlain();
    heatUrl = URL.createObjectURL(png);
    show(heatUrl, `Heat over the picture: the brighter, the more it speaks for ${words(name)}`, `Where the model sees ${words(name)}: brighter is more (Grad-CAM)`);
    button.setAttribute('aria-pressed', 'true');
    $('plain').hidden = false;
    // On a narrow screen the picture is far above the list.
    $('shown').scrollIntoView({ block: 'nearest' });
    say(`Where the model sees ${words(name)} is shown over the picture.`);
  } catch (error) {
    if (mine === question) say('', error.message);
  }
}

// The camera, where there is one and the page may use it.
let stream = null;
$('camera').hidden = !navigator.mediaDevices?.getUserMedia;
$('camera').addEventListener('click', async () => {
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'user' } });
  } catch (error) {
    say('', `The camera cannot be used: ${error.message}.`);
    return;
  }
  $('video').srcObject = stream;
  $('live').hidden = false;
  $('drop').hidden = true;
  await $('video').play();
  $('shoot').focus();
});
function stopCamera() {
  stream?.getTracks().forEach(track => track.stop());
  stream = null;
  $('video').srcObject = null;
  $('live').hidden = true;
  $('drop').hidden = false;
  $('camera').focus();
}
$('cancel').addEventListener('click', stopCamera);
$('shoot').addEventListener('click', () => {
  const video = $('video');
  const canvas = document.createElement('canvas');
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext('2d').drawImage(video, 0, 0);
  canvas.toBlob(blob => take(new File([blob], 'from the camera', { type: 'image/png' })), 'image/png');
  stopCamera();
});

$('choose').addEventListener('click', () => $('file').click());
$('file').addEventListener('change', () => {
  take($('file').files[0]);
  $('file').value = '';
});
$('plain').addEventListener('click', () => {
  showPlain();
  $('choose').focus();
});
$('order').addEventListener('change', list);
$('model').addEventListener('change', () => {
  tellUses();
  if (picture) {
    showPlain();
    answer();
  }
});
$('login').addEventListener('submit', event => {
  event.preventDefault();
  token = $('token').value.trim();
  begin();
});
document.addEventListener('paste', event => {
  const file = [...event.clipboardData.files].find(file => file.type.startsWith('image/'));
  if (file) {
    event.preventDefault();
    take(file);
  }
});
// Anywhere on the page, so that a picture dropped beside the frame does not replace the page.
let over = 0;
const mark = change => {
  over = Math.max(0, over + change);
  $('drop').classList.toggle('over', over > 0);
};
document.addEventListener('dragenter', () => mark(1));
document.addEventListener('dragleave', () => mark(-1));
document.addEventListener('dragover', event => event.preventDefault());
document.addEventListener('drop', event => {
  event.preventDefault();
  mark(-over);
  const file = event.dataTransfer.files[0];
  if (file) take(file);
  else say('', 'What was dropped is no file: save the picture first, or copy and paste it.');
});

begin();

import { useEffect, useRef } from 'preact/hooks';

const time = (at) => new Date(at).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });

/** What was written during this call. */
export function Chat({ messages, onSend, onClose }) {
  const end = useRef(null);
  const input = useRef(null);
  useEffect(() => end.current.scrollIntoView({ block: 'end' }), [messages.length]);
  useEffect(() => input.current.focus(), []);

  const submit = (event) => {
    event.preventDefault();
    const text = input.current.value.trim();
    if (text && onSend(text)) input.current.value = '';
  };

  return (
    <aside class="chat" id="chat" aria-label="Chat" onKeyDown={({ key }) => key === 'Escape' && onClose()}>
      <header>
        <h2>Chat</h2>
        <button class="link" onClick={onClose}>
          Close
        </button>
      </header>
      <ol aria-live="polite" aria-relevant="additions">
        {messages.map(({ id, name, own, text, at }) => (
          <li key={id} class={own ? 'own' : ''}>
            <p class="from">
              <strong>{name}</strong> <time dateTime={at}>{time(at)}</time>
            </p>
            <p class="text">{text}</p>
          </li>
        ))}
        <li ref={end} class="end" aria-hidden="true" />
      </ol>
      <form onSubmit={submit}>
        <label class="hidden" for="message">
          Message
        </label>
        <input id="message" ref={input} maxLength={2000} placeholder="Write to everybody" autocomplete="off" />
        <button class="primary">Send</button>
      </form>
    </aside>
  );
}

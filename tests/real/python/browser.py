"""A browser that signs somebody in, for programs that open the one named in $BROWSER.

It opens the address given as its argument, fills in the sign-in page, approves a second factor if it is asked to, and hands
the answer of the page on to the program that waits for it on this machine. Pages are read as a browser reads them: nothing is
assumed of what is in a form but the names of the two fields that a person types into.

Variables: BROWSER_CA, the file with the CA to trust; BROWSER_USER and BROWSER_PASSWORD, what is typed; BROWSER_DIARY, a file
that gets one line for each page, none of which has a secret.
"""

import html.parser
import os
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

USER_FIELD, PASSWORD_FIELD = "loginfmt", "passwd"
MOST_PAGES = 8


class Page(html.parser.HTMLParser):
    """The forms of a page: for each, where it is sent, how, and its fields."""

    def __init__(self, text):
        super().__init__()
        self.forms = []
        self.is_inside = False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "form":
            self.is_inside = True
            self.forms.append((given.get("action", ""), given.get("method", "get").lower(), {}))
        elif tag == "input" and self.is_inside and given.get("name"):
            self.forms[-1][2][given["name"]] = given.get("value", "")

    def handle_endtag(self, tag):
        if tag == "form":
            self.is_inside = False

    def next_form(self):
        """The form to type into if there is one, else the only one."""
        for form in self.forms:
            if USER_FIELD in form[2]:
                return form
        return self.forms[0] if len(self.forms) == 1 else None


def main():
    address, body, origin = sys.argv[1], None, None
    client = urllib.request.build_opener(
        urllib.request.ProxyHandler({}),
        urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=os.environ["BROWSER_CA"])),
    )
    typed = set()
    for _ in range(MOST_PAGES):
        status, text = visit(client, address, body, origin)
        at = urllib.parse.urlsplit(address)
        diary(f"{'GET' if body is None else 'POST'} {at.scheme}://{at.netloc}{at.path} {status}")
        if at.scheme == "http":
            # That was the program that waits.
            return 0 if status == 200 else 1
        form = Page(text).next_form() if status == 200 else None
        if form is None:
            return 1
        action, method, fields = form
        if method != "post":
            return 1
        if USER_FIELD in fields:
            if USER_FIELD in typed:
                diary("asked again: the name or the password is not right")
                return 1
            typed.add(USER_FIELD)
            fields = {**fields, USER_FIELD: os.environ["BROWSER_USER"], PASSWORD_FIELD: os.environ["BROWSER_PASSWORD"]}
        origin = f"{at.scheme}://{at.netloc}"
        address = urllib.parse.urljoin(address, action)
        body = urllib.parse.urlencode(fields).encode()
    diary("too many pages")
    return 1


def visit(client, address, body, origin):
    """The status and the text of a page; the program that waits may begin to listen only after it has opened the browser."""
    headers = {"Accept": "text/html"} if body is None else {"Accept": "text/html", "Origin": origin}
    for attempt in range(50):
        try:
            with client.open(urllib.request.Request(address, data=body, headers=headers), timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError) or attempt == 49:
                diary(f"{type(error.reason).__name__} at {urllib.parse.urlsplit(address).netloc}")
                raise
            time.sleep(0.1)


def diary(line):
    with open(os.environ["BROWSER_DIARY"], "a", encoding="utf-8") as file:
        file.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())

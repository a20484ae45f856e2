"""A Chromium without a window, with a microphone that plays a recording."""

import json
import os
import platform
import re
import shutil
import subprocess
import time
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from support.debian import unpacked
from support.repository import fresh_directory

webdriver = pytest.importorskip("selenium.webdriver", reason="the browser is driven with selenium")
SECONDS = 60
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
]
# Where the pictures are to be pretty: a font for each script.
FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  {directories}
  <cachedir>{cache}</cachedir>
  {preferred}
</fontconfig>
"""
PREFERRED = """<match target="pattern"><test name="family"><string>{family}</string></test>
  <edit name="family" mode="prepend" binding="strong"><string>Inter</string><string>Noto Sans CJK SC</string></edit></match>"""


@cache
def programs():
    """The browser, its driver, and the libraries that the machine lacks: the machine's own, or Debian's, fetched once."""
    driver = shutil.which("chromedriver", path=os.pathsep.join([os.environ.get("CHROMEWEBDRIVER", ""), os.environ.get("PATH", "")]))
    for name in ("google-chrome", "chromium", "chromium-browser"):
        browser = shutil.which(name)
        # A driver is for browsers of its own version.
        if browser and driver and _version(browser) and _version(browser) == _version(driver):
            return browser, driver, None
    kept = unpacked("chromium", "chromium", "chromium-driver", dependencies=True)
    browser = kept / "usr/lib/chromium/chromium"
    if not browser.exists():
        pytest.skip("there is no Chromium on this machine, and what apt-get calls so is something else")
    return str(browser), str(kept / "usr/bin/chromedriver"), kept


def _version(program):
    """The first number of a program's version."""
    told = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=SECONDS).stdout
    found = re.search(r"\d+", told)
    return found and found[0]


def _environment(pretty):
    """What the browser needs in its environment: libraries and fonts."""
    environment = dict(os.environ)
    _, _, kept = programs()
    home = fresh_directory("browser-home")
    places = ["/usr/share/fonts"]
    if kept:
        libraries = kept / f"usr/lib/{platform.machine()}-linux-gnu"
        environment["LD_LIBRARY_PATH"] = os.pathsep.join(map(str, (libraries, *libraries.glob("*/"))))
        places.append(str(kept / "usr/share/fonts"))
    if pretty:
        places.append(str(unpacked("fonts", "fonts-inter", "fonts-noto-cjk") / "usr/share/fonts"))
    directories = "\n  ".join(f"<dir>{place}</dir>" for place in places)
    families = [PREFERRED.format(family=family) for family in ("sans-serif", "system-ui")] if pretty else []
    (home / "fonts.conf").write_text(FONTS.format(directories=directories, cache=home / "fonts", preferred="\n  ".join(families)))
    return environment | {"FONTCONFIG_FILE": str(home / "fonts.conf"), "HOME": str(home)}


class Page:
    """The page in a browser. What it finds, it waits for."""

    def __init__(self, driver):
        self.driver = driver

    def open(self, url, **storage):
        """The page, with nothing kept of what went before but `storage`."""
        # Somewhere else in between: another address is another page.
        self.driver.get("about:blank")
        self.driver.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": url, "storageTypes": "all"})
        self.driver.get(url)
        if storage:
            self.script("for (const [name, value] of Object.entries(arguments[0])) localStorage.setItem(name, value)", storage)
            self.driver.refresh()
        return self

    def script(self, code, *arguments):
        """What JavaScript gives back."""
        return self.driver.execute_script(code, *arguments)

    def all(self, selector):
        """The elements that are there."""
        return self.driver.find_elements("css selector", selector)

    def one(self, selector):
        """The first that is there and can be seen."""
        return self.wait(lambda: next((each for each in self.all(selector) if each.is_displayed()), None), selector)

    def click(self, selector):
        """Presses it."""
        self.wait(lambda: self.one(selector).get_attribute("aria-disabled") != "true", f"{selector} enabled")
        self.one(selector).click()

    def text(self, selector):
        """The text of all of them, in order."""
        return "".join(self.script("return [...document.querySelectorAll(arguments[0])].map((each) => each.textContent)", selector))

    def shows(self, text, selector="body"):
        """Waits until a text can be seen."""
        self.wait(lambda: any(text in each.text for each in self.all(selector)), text)

    def wait(self, condition, what="a state of the page", seconds=SECONDS):
        """What the condition gives once it is true."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                found = condition()
            # An element may be taken away in between.
            except webdriver.remote.errorhandler.StaleElementReferenceException:
                found = None
            if found:
                return found
            assert time.monotonic() < deadline, f"the page does not show: {what}\n{self.text('body')}\n{self.errors()}"
            time.sleep(0.05)

    def press(self, *keys):
        """Keys, to what has the focus."""
        for key in keys:
            webdriver.ActionChains(self.driver).send_keys(key).perform()

    def drop(self, *paths):
        """Drops files onto the page, as from a desktop."""
        field = self.script(
            """const field = document.createElement("input");
            field.type = "file"; field.multiple = true; field.id = "dropped"; field.style.setProperty("opacity", "0");
            field.onchange = () => {
              const data = new DataTransfer();
              for (const file of field.files) data.items.add(file);
              for (const type of ["dragenter", "dragover", "drop"])
                document.querySelector("#drop").dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }));
              field.remove();
            };
            document.body.append(field);
            return field;"""
        )
        field.send_keys("\n".join(map(str, paths)))

    def emulate(self, width=None, height=900, dark=None):
        """A window's size, and what the system likes."""
        if width:
            size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
            self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        if dark is not None:
            feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
            self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    def errors(self):
        """What the browser complains of, among it all that the page's policy forbids."""
        return [each["message"] for each in self.driver.get_log("browser") if each["level"] == "SEVERE"]

    def asked(self):
        """The addresses that were asked for since the last time."""
        events = [json.loads(each["message"])["message"] for each in self.driver.get_log("performance")]
        urls = [each["params"]["request"]["url"] for each in events if each["method"] == "Network.requestWillBeSent"]
        return urls + [each["params"]["url"] for each in events if each["method"] == "Network.webSocketCreated"]


@contextmanager
def browser(recording=None, pretty=False):
    """A page in a browser of its own, whose microphone plays a recording, once."""
    program, driver, _ = programs()
    options = webdriver.ChromeOptions()
    options.binary_location = program
    downloads = fresh_directory("downloads")
    flags = [*FLAGS, f"--user-data-dir={fresh_directory('browser')}"]
    if recording:
        flags.append(f"--use-file-for-fake-audio-capture={recording}%noloop")
    for flag in flags:
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads), "intl.accept_languages": "en"})
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    running = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver, env=_environment(pretty)))
    page = Page(running)
    page.downloads = Path(downloads)
    try:
        yield page
    finally:
        running.quit()

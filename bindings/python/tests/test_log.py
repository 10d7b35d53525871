"""Messages of the library reach Python's logging."""

import logging
import subprocess
import sys
import unittest

import models

import drr


class Messages(unittest.TestCase):
    def setUp(self):
        self.logger = logging.getLogger("drr")
        self.addCleanup(self.logger.setLevel, self.logger.level)
        self.addCleanup(drr.log_to, None)

    def test_opening_is_told_until_it_is_ended(self):
        with self.assertLogs(self.logger, logging.INFO) as heard:
            drr.log_to(self.logger)
            drr.open(models.file(), threads=2).close()
            drr.log_to(None)
            drr.open(models.file()).close()
        (record,) = heard.records
        self.assertEqual(record.levelno, logging.INFO)
        self.assertRegex(record.getMessage(), r"opened .*: \d+ bytes, .* threads 2")

    def test_the_level_is_that_of_the_logger(self):
        self.logger.setLevel(logging.WARNING)
        drr.log_to(self.logger)
        with self.assertLogs(self.logger, logging.DEBUG) as heard:
            drr.open(models.file()).close()
            self.logger.warning("something of its own")
        self.assertEqual(len(heard.records), 1)

    def test_the_end_of_python_is_no_problem(self):
        program = "import drr, logging; drr.log_to(logging.getLogger()); drr.open({!r})"
        program = program.format(str(models.file()))
        subprocess.run([sys.executable, "-c", program], check=True)


if __name__ == "__main__":
    unittest.main()

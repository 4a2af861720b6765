return { epoch, 'ok' }
